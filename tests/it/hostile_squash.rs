//! Image files that lie or are damaged, and what they stand on going away: each ends in a right run or in words, never in a
//! hang, a panic, or a file outside of the container.

use std::path::{Path, PathBuf};

use crate::need;
use crate::support::{Canary, Output, World, wait_for};

/// A store with busybox as `bb`, and its squashfs as bytes.
fn world() -> (World, Vec<u8>) {
    let (w, file) = World::with_image_file();
    let bytes = std::fs::read(file).unwrap();
    (w, bytes)
}

/// Runs `sh -c SCRIPT` in an image file of these bytes.
fn run(w: &World, name: &str, bytes: &[u8], script: &str) -> Output {
    let file = w.dir.join("home").join(name);
    std::fs::write(&file, bytes).unwrap();
    w.run("").arg(&file).args(["sh", "-c", script]).run()
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
}

/// A file system in a SIF file.
struct Part {
    kind: u32,
    purpose: u32,
    architecture: &'static str,
    offset: u64,
    length: u64,
}

const PAGE: usize = 4096;
const TABLE: usize = 128;

/// As apptainer lays it out: a header of 128 bytes, descriptors of 585, the parts on pages of their own.
fn sif(parts: &[Part], squashfs: &[u8]) -> Vec<u8> {
    let mut sif = vec![0u8; 2 * PAGE];
    sif[..24].copy_from_slice(b"#!/usr/bin/env run-sing\n");
    sif[32..45].copy_from_slice(b"SIF_MAGIC\x0001\0");
    sif[88..96].copy_from_slice(&(parts.len() as u64).to_le_bytes());
    sif[96..104].copy_from_slice(&(TABLE as u64).to_le_bytes());
    for (at, part) in parts.iter().enumerate() {
        let descriptor = &mut sif[TABLE + 585 * at..TABLE + 585 * (at + 1)];
        descriptor[..4].copy_from_slice(&0x4004u32.to_le_bytes());
        descriptor[4] = 1;
        descriptor[5..9].copy_from_slice(&(at as u32 + 1).to_le_bytes());
        descriptor[17..25].copy_from_slice(&part.offset.to_le_bytes());
        descriptor[25..33].copy_from_slice(&part.length.to_le_bytes());
        descriptor[201..205].copy_from_slice(&part.kind.to_le_bytes());
        descriptor[205..209].copy_from_slice(&part.purpose.to_le_bytes());
        descriptor[209..211].copy_from_slice(part.architecture.as_bytes());
    }
    sif.extend_from_slice(squashfs);
    sif
}

fn own() -> (&'static str, &'static str) {
    if cfg!(target_arch = "x86_64") { ("02", "04") } else { ("04", "02") }
}

/// The squashfs behind the two pages, for this machine.
fn system(squashfs: &[u8]) -> Part {
    let (architecture, _) = own();
    Part { kind: 1, purpose: 2, architecture, offset: 2 * PAGE as u64, length: squashfs.len() as u64 }
}

#[test]
fn a_sif_file_runs_and_one_that_cannot_says_why() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, squashfs) = world();
    let of = |parts: &[Part]| run(&w, "app.sif", &sif(parts, &squashfs), "echo sif");
    let good = || system(&squashfs);
    assert_eq!(of(&[good()]).ok(), "sif\n");
    // Variables, signatures, a file system with data: nothing to run, and nothing in the way.
    let data = Part { kind: 1, purpose: 3, offset: 4000, length: 90, ..good() };
    assert_eq!(of(&[data, good()]).ok(), "sif\n");
    let cannot = ["cannot use the image file", "SIF file that cannot be run"];
    let overlay = |kind| Part { kind, purpose: 4, offset: 4000, length: 90, ..good() };
    for (parts, cause, hint) in [
        (
            vec![Part { kind: 2, ..good() }],
            "an ext3 file system, which no user may mount",
            "Hint: Let apptainer",
        ),
        (vec![Part { kind: 5, ..good() }], "encrypted", "Hint: Let apptainer decrypt it"),
        (vec![good(), overlay(2)], "part 2 is an overlay in an ext3 file system", "siftool del 2"),
        (vec![good(), overlay(1)], "part 2 is an overlay, and only the system", "siftool del 2"),
    ] {
        of(&parts).says(125, &[cannot[0], cannot[1], cause, hint]);
    }
    of(&[Part { kind: 4, ..good() }]).says(125, &[cannot[1], "unknown type 4"]);
    of(&[Part { purpose: 3, ..good() }]).says(125, &[cannot[1], "none of its parts is a system"]);
    if !Path::new("/proc/sys/fs/binfmt_misc/qemu-aarch64").exists() && cfg!(target_arch = "x86_64") {
        of(&[Part { architecture: own().1, ..good() }])
            .says(125, &[cannot[1], "it is for arm64, and this machine is amd64", "Hint: Get the file"]);
    }
}

#[test]
fn a_sif_file_whose_numbers_lie_is_refused() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, squashfs) = world();
    let good = || system(&squashfs);
    let damaged = ["cannot use the image file", "it is a damaged SIF file"];
    let whole = sif(&[good()], &squashfs);
    let says = |bytes: &[u8], words: &str| {
        run(&w, "bad.sif", bytes, "true")
            .says(125, &[damaged[0], damaged[1], words, "Hint: Copy the file again"]);
    };
    for (offset, length) in
        [(u64::MAX, 10), (2 * PAGE as u64, u64::MAX), (1 << 62, 1 << 62), (100, 4096), (0, 0)]
    {
        says(&sif(&[Part { offset, length, ..good() }], &squashfs), "its system would be");
    }
    says(
        &sif(&[good(), Part { purpose: 3, offset: 9000, length: 10, ..good() }], &squashfs),
        "lies over its system",
    );
    says(&sif(&[Part { offset: 130, length: 4096, ..good() }], &squashfs), "lies over its system");
    for (at, value, words) in [
        (88, 0, "no parts"),
        (88, u64::MAX, "too many parts"),
        (96, u64::MAX, "table of parts"),
        (96, 1 << 40, "table of parts"),
    ] {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&u64::to_le_bytes(value));
        says(&bytes, words);
    }
    // Cut off anywhere, also in the header: words.
    for length in
        [40, 100, 127, 128, 300, 700, PAGE, 2 * PAGE, 2 * PAGE + 50, whole.len() / 2, whole.len() - 1]
    {
        run(&w, "bad.sif", &whole[..length], "true").says(125, &["cannot use the image file", "Caused by:"]);
    }
    // No squashfs where it says that there is one; a squashfs that says that it is longer than its part.
    let mut bytes = whole;
    bytes[2 * PAGE] = 0;
    run(&w, "bad.sif", &bytes, "true").says(125, &[damaged[1], "its system is no squashfs"]);
    let short = Part { length: squashfs.len() as u64 / 2, ..good() };
    run(&w, "bad.sif", &sif(&[short], &squashfs), "true").says(125, &["damaged squashfs", "cut off"]);
}

/// A small generator with a seed: a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

/// Reads all that the image has, and tries to write.
const EVERYTHING: &str = "find / -xdev -type f -exec cat {} + >/dev/null; ls -lR /bin /etc /home >/dev/null; echo x >/etc/new; echo end";

#[test]
fn flipped_bits_and_cuts_end_in_a_run_or_in_words() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let tries = if std::env::var("CORACLE_TEST_TIER").as_deref() == Ok("full") { 1000 } else { 48 };
    let (w, squashfs) = world();
    let canary = Canary::new(&w);
    let whole = sif(&[system(&squashfs)], &squashfs);
    let (tables, end) = (number(&squashfs, 64), number(&squashfs, 40));
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut seen = [0u32; 2];
    for number in 0..tries {
        let (name, mut bytes) = match number % 4 {
            0 => ("flip.sif", whole.clone()),
            _ => ("flip.sqsh", squashfs.clone()),
        };
        let region = match number % 4 {
            0 => 0..2 * PAGE,
            1 => 0..96,
            2 => tables..end,
            _ => 0..bytes.len(),
        };
        let mut what = Vec::new();
        for _ in 0..[1, 1, 2, 8][random.below(4)] {
            let at = region.start + random.below(region.len());
            bytes[at] ^= 1 << random.below(8);
            what.push(at);
        }
        if random.below(8) == 0 {
            bytes.truncate(random.below(bytes.len()));
            what.push(bytes.len());
        }
        let out = run(&w, name, &bytes, EVERYTHING);
        // 124: it hung. 137 without words: it was killed, and nobody said why. Other signals are the payload's own: a program
        // with a wrong bit in it, which no squashfs has a checksum for.
        let own = [125, 126, 127].contains(&out.code) || out.stderr.contains("has lost its files");
        let said = out.stderr.contains("Error: ") && out.stderr.contains("Caused by:");
        assert!(out.code != 124 && !out.stderr.contains("panicked"), "{name} {what:?}: {out:#?}");
        assert!(said || !own && out.code != 137, "{name} {what:?}: {out:#?}");
        seen[usize::from(own)] += 1;
    }
    // Both ends are there: else nothing was tried.
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    canary.check("a damaged image file");
    assert!(w.names().is_empty());
}

#[test]
fn a_superblock_that_lies_is_refused() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, good) = world();
    let with = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        run(&w, "bad.sqsh", &bad, "true")
    };
    let file = "cannot use the image file";
    with(40, &u64::MAX.to_le_bytes()).says(125, &[file, "damaged squashfs", "cut off"]);
    with(40, &90u64.to_le_bytes()).says(125, &[file, "damaged squashfs", "table of ids"]);
    with(12, &(1u32 << 30).to_le_bytes()).says(125, &[file, "block size"]);
    with(20, &9u16.to_le_bytes()).says(125, &[file, "compression"]);
    // Another compression than the one that was used: only squashfuse can tell.
    with(20, &1u16.to_le_bytes())
        .says(125, &["cannot mount the image file", "squashfuse", "Hint: The file may be damaged"]);
    // Of a start that came to nothing nothing stays.
    assert!(w.names().is_empty());
}

/// The first image file of a search that squashfuse of this machine crashes on when all of it is read.
fn crashing(w: &World, squashfs: &[u8]) -> Option<(PathBuf, Output)> {
    let (tables, end) = (number(squashfs, 64), number(squashfs, 40));
    let mut random = Random(7);
    for number in 0..400 {
        let mut bytes = squashfs.to_vec();
        bytes[tables + random.below(end - tables)] ^= 1 << random.below(8);
        let name = format!("crash{number}.sqsh");
        let out = run(w, &name, &bytes, EVERYTHING);
        let file = w.dir.join("home").join(name);
        if out.stderr.contains("squashfuse, which served the image file") {
            return Some((file, out));
        }
        std::fs::remove_file(file).unwrap();
    }
    None
}

#[test]
fn a_squashfuse_that_crashes_is_named() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, squashfs) = world();
    // A file that crashes it while the container runs. A better squashfuse may have none: then it is killed.
    let found = crashing(&w, &squashfs);
    if let Some((file, out)) = found {
        assert!(out.code != 0, "{out:#?}");
        let (code, file) = (out.code, file.display().to_string());
        out.says(
            code,
            &["Error: ", "squashfuse, which served the image file", &file, "Hint: The file may be damaged"],
        );
    }
    let file = w.dir.join("home/app.sqsh");
    wait_for("those before to go", || w.processes("squashfuse").is_empty());
    let running = w.run("").arg(&file).args(["sh", "-c", "echo up; exec sleep 1000"]).spawn();
    wait_for("the payload", || running.so_far().0 == "up\n");
    w.tool("kill").args(["-9", &server(&w).to_string()]).ok();
    let words =
        ["has lost its files", "squashfuse, which served the image file", "crashed or was killed", "Hint: "];
    running.wait().says(137, &words);
}

/// A script that goes on after an error ends with 0, whatever it could not read.
#[test]
fn a_payload_that_ends_well_without_its_files_has_not_ended_well() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = world();
    let file = w.dir.join("home/app.sqsh");
    let script = "echo up; while test ! -e /home/go; do :; done; exit 0";
    let volume = format!("{}:/home", w.dir.join("go").display());
    std::fs::create_dir(w.dir.join("go")).unwrap();
    let running = w.run("--name last -v").arg(volume).arg(&file).args(["sh", "-c", script]).spawn();
    wait_for("the payload", || running.so_far().0 == "up\n");
    let (payload, monitor) = (w.pid("last"), w.get("last", "/State/ConmonPid").to_string());
    // Before its monitor can end it.
    w.tool("kill").args(["-STOP", &monitor]).ok();
    w.tool("kill").args(["-KILL", &server(&w).to_string()]).ok();
    std::fs::write(w.dir.join("go/go"), "").unwrap();
    let status = format!("/proc/{payload}/stat");
    wait_for("the payload's end", || {
        std::fs::read_to_string(&status).is_ok_and(|text| text.contains(") Z "))
    });
    w.tool("kill").args(["-CONT", &monitor]).ok();
    running.wait().says(125, &["Error: ", "has lost its files", "squashfuse, which served the image file"]);
}

/// The pid of this test's squashfuse.
fn server(w: &World) -> u32 {
    *w.processes("squashfuse").first().expect("a squashfuse")
}

#[test]
fn a_file_system_that_vanishes_below_the_image_is_named() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "fusermount3");
    let (w, _) = world();
    let (far, outer) = (w.dir.join("home/far"), w.dir.join("home/outer.sqsh"));
    let tree = w.dir.join("home/tree");
    std::fs::create_dir_all(&far).unwrap();
    std::fs::create_dir(&tree).unwrap();
    std::fs::rename(w.dir.join("home/app.sqsh"), tree.join("app.sqsh")).unwrap();
    w.tool("mksquashfs").arg(&tree).arg(&outer).args(["-quiet", "-no-progress"]).ok();
    let file = far.join("app.sqsh");
    let mount = || {
        let served = w.tool("squashfuse").arg("-f").arg(&outer).arg(&far).spawn();
        wait_for("the far file system", || file.exists());
        served
    };
    let served = mount();
    w.start("a", &format!("{} sleep 1000", file.display()));
    w.tool("kill").args(["-9", &served.inner_pid().to_string()]).ok();
    served.wait();
    let words = [
        "cannot use the image file",
        "ENOTCONN",
        "Hint: The program that serves the file system at",
        "fusermount3 -u",
    ];
    w.run("").arg(&file).arg("true").run().says(125, &words);
    // What runs has no files any more; it can be ended all the same.
    assert_ne!(w.c("exec a sha256sum /bin/busybox").run().code, 124);
    w.c("rm -f -t 0 a").ok();
    w.tool("fusermount3").arg("-u").arg(&far).ok();
    let served = mount();
    w.run("").arg(&file).arg("true").ok();
    w.tool("fusermount3").arg("-uz").arg(&far).ok();
    served.wait().ok();
}

#[test]
fn a_full_disk_is_named_and_an_image_file_still_runs_when_there_is_room() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = world();
    let small = w.dir.join("home/small");
    std::fs::create_dir(&small).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=200k small {small}; export XDG_DATA_HOME={small}/data
         head -c 400k /dev/zero >{small}/fill 2>/dev/null
         $C run --rm --network none {file} true; echo $? >&2
         rm {small}/fill; $C run --rm --network none {file} echo room; $C run --rm --network none {file} sh -c 'head -c 300k /dev/zero >/big'
         echo $? >&2; XDG_DATA_HOME={data} $C image squash bb {small}/copy.sqsh; echo $? >&2; ls -A {small}",
        small = small.display(),
        file = w.dir.join("home/app.sqsh").display(),
        data = w.dir.join("data").display(),
    );
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let out = w
        .tool("unshare")
        .env("C", program)
        .args(["--user", "--map-root-user", "--mount", "--propagation", "private", "bash", "-c", &script])
        .run();
    let words = [
        "Error: ",
        "ENOSPC",
        "Hint: The disk is full",
        "125\n",
        "head: ",
        "1\n",
        "cannot write image bb",
        "No space left on device",
        "Hint: Free some space there",
        "125\n",
    ];
    let out = out.says(0, &words);
    assert_eq!(out.stdout, "room\ndata\n", "{}", out.stderr);
}

#[test]
fn what_a_dead_job_left_holds_nobody_up() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let (w, _) = world();
    let file = w.dir.join("home/app.sqsh");
    let squash = w.dir.join("run/coracle/squash");
    w.start("a", &format!("{} sleep 1000", file.display()));
    let keys: Vec<PathBuf> = std::fs::read_dir(&squash).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let record = std::fs::read_to_string(key.join("holder")).unwrap();
    w.c("rm -f -t 0 a").ok();
    wait_for("the holder's end", || !key.join("holder").exists());
    // As a node that was cut off leaves it: the record of a holder whose numbers are other processes' now, and its locks.
    let mut stale: serde_json::Value = serde_json::from_str(&record).unwrap();
    stale["holder"] = 1.into();
    stale["server"] = 1.into();
    let generation = stale["generation"].as_str().unwrap().to_owned();
    for damage in [stale.to_string(), record[..record.len() / 2].to_owned(), String::new()] {
        std::fs::create_dir_all(key.join(format!("mnt-{generation}"))).unwrap();
        for name in ["alive", "users"] {
            std::fs::write(key.join(format!("{name}-{generation}")), "").unwrap();
        }
        std::fs::write(key.join("holder"), damage).unwrap();
        assert_eq!(w.run("").arg(&file).args(["echo", "on"]).ok(), "on\n");
    }
    wait_for("what was left to go", || !key.join(format!("users-{generation}")).exists());
}
