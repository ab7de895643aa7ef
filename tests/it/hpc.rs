//! `run --hpc`: a program of an image as if it were one of the host's.

use std::path::Path;

use crate::need;
use crate::support::{Cmd, World, user};

const SCRIPT: &str = "id -u; id -un; echo $HOME; pwd; echo $STORY $FROM_IMAGE $XDG_DATA_HOME; echo $PATH; \
    for n in net pid ipc; do readlink /proc/self/ns/$n; done; grep -E '^NoNewPrivs|^CapEff' /proc/self/status; \
    touch /tmp/$MARK made";

/// Runs the script in a directory of the home, and compares what it says with what is true on the host.
fn as_on_the_host(w: &World, run: Cmd, image: &str) {
    let here = w.dir.join("home/project");
    std::fs::create_dir_all(&here).unwrap();
    let mark = format!("coracle-hpc-{}", w.tag);
    let run = run.args(["run", "--rm", "--hpc", image, "sh", "-c", SCRIPT]).cwd(&here);
    let out = run.env("STORY", "of the host").env("MARK", &mark).ok();
    let ns = |name: &str| std::fs::read_link(format!("/proc/self/ns/{name}")).unwrap().display().to_string();
    let want = [
        user::ids().0.to_string(),
        user::name(),
        w.dir.join("home").display().to_string(),
        here.display().to_string(),
        "of the host".to_owned(),
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        ns("net"),
        ns("pid"),
        ns("ipc"),
        "CapEff:\t0000000000000000".to_owned(),
        "NoNewPrivs:\t1".to_owned(),
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), want, "{image}");
    for file in [here.join("made"), Path::new("/tmp").join(&mark)] {
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(&file).unwrap().uid(), user::ids().0, "{file:?}");
        std::fs::remove_file(file).unwrap();
    }
}

#[test]
fn you_are_yourself_where_you_are() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs");
    let w = World::with_busybox();
    as_on_the_host(&w, w.coracle(), "bb");
    let file = w.dir.join("home/app.sqsh");
    w.c("image squash bb").arg(&file).ok();
    as_on_the_host(&w, w.coracle(), file.to_str().unwrap());
    // What must be mounted somewhere is, also where the image has no such place and its root is read-only.
    let deep = w
        .c("run --rm --hpc --read-only -v")
        .arg(format!("{}:/no/such/deep/dir:ro", w.dir.join("home").display()));
    let out = deep.arg(&file).args(["sh", "-c", "ls /no/such/deep/dir; touch /x || echo refused"]).ok();
    assert!(out.contains("app.sqsh\n") && out.ends_with("refused\n"), "{out}");
}

#[test]
fn an_image_file_that_a_user_has_made_works_as_one_of_roots() {
    need!("subid", "images", "registry", "fuse", "squashfuse", "mksquashfs", "setpriv");
    let w = World::with_busybox();
    // All in it is the user's, by number; and its root is nobody else's business.
    w.c("bundle --single-uid bb").arg(w.dir.join("home/bundle")).ok();
    let (tree, file) = (w.dir.join("home/bundle/rootfs"), w.dir.join("home/own.sqsh"));
    std::fs::set_permissions(&tree, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    w.tool("mksquashfs").arg(&tree).arg(&file).args(["-quiet", "-no-progress"]).ok();
    as_on_the_host(&w, w.coracle(), file.to_str().unwrap());
    assert_eq!(w.c("run --rm -v /etc:/run/deep/etc:ro").arg(&file).args(["id", "-u"]).ok(), "0\n");
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let alone =
        || crate::single_uid::alone_with(&w, &program).args(["run", "--rm", "-v", "/etc:/run/deep/etc:ro"]);
    for flags in ["--hpc", "--hpc=false"] {
        assert_eq!(alone().arg(flags).arg(&file).args(["ls", "-d", "/run/deep/etc"]).ok(), "/run/deep/etc\n");
    }
}

#[test]
fn it_needs_no_subordinate_ids() {
    need!("subid", "images", "fuse", "squashfuse", "mksquashfs", "setpriv");
    let w = World::new();
    let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
    let alone = || crate::single_uid::alone_with(&w, &program);
    let (image, file) = crate::single_uid::image_and_file(&w, &alone);
    as_on_the_host(&w, alone(), &image);
    as_on_the_host(&w, alone(), file.to_str().unwrap());
    alone().args(["rmi", "--all", "--force"]).ok();
}

#[test]
fn what_the_image_says_means_what_it_always_means() {
    need!("subid", "registry");
    let w = World::with_busybox();
    w.pull("config", "cfg");
    // Its entrypoint is a shell, its command `echo default`, its user 1000.
    assert_eq!(w.c("run --rm --hpc cfg").ok(), "default\n");
    let script = "pwd; echo $FROM_IMAGE; cat /data/kept; id -u";
    let out = w.c("run --rm --hpc cfg").arg(script).env("FROM_IMAGE", "no").cwd(&w.dir.join("home")).ok();
    assert_eq!(out, format!("/made/by/start\nyes\nkept\n{}\n", user::ids().0));
    // What is said by a flag stands above all.
    let out = w
        .c("run --rm --hpc --network none --pid private --hostname story -w /tmp -e HOME=/tmp -e FROM_IMAGE=flag cfg")
        .arg("pwd; echo $HOME $FROM_IMAGE; hostname; ls /sys/class/net; ls /proc | grep -c '^[0-9]'")
        .ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.get(..4), Some(&["/tmp", "/tmp flag", "story", "lo"][..]), "{out}");
    assert!(lines.get(4).unwrap().parse::<u32>().unwrap() < 8, "{out}");
    w.c("run --rm --hpc --user 0 cfg true").run().says(125, &["Error: ", "--hpc", "--user"]);
    // A directory that would hide one of the image's is not shown; the home is no place to be in then.
    assert_eq!(w.c("run --rm --hpc bb pwd").cwd(Path::new("/usr")).ok(), "/\n");
}

#[test]
fn what_it_writes_is_as_private_as_the_callers_umask_says() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let home = w.dir.join("home");
    let masked = |mask: &str, flags: &str| {
        let line = format!("umask {mask}; exec \"$@\" sh -c 'umask; : >made; stat -c %a made; rm made'");
        let program = crate::support::need::program("coracle", env!("CARGO_BIN_EXE_coracle"));
        let run = w.tool("sh").args(["-c", &line, "sh"]).arg(program).args(flags.split_whitespace());
        run.arg(&file).cwd(&home).ok()
    };
    assert_eq!(masked("027", "run --rm --hpc"), "0027\n640\n");
    assert_eq!(masked("077", "run --rm --hpc --name private"), "0077\n600\n");
    assert_eq!(masked("077", "run --rm --hpc --umask 022"), "0022\n644\n");
}

#[test]
fn a_jobs_own_directory_for_temporary_files_is_used_where_it_is_shown() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let home = w.dir.join("home");
    let scratch = w.dir.join("scratch");
    for dir in [home.join("job"), scratch.clone()] {
        std::fs::create_dir_all(dir).unwrap();
    }
    let told = |flags: &str, dir: &Path| {
        let run = w.c(&format!("run --rm --hpc {flags}")).cwd(&home).env("TMPDIR", dir);
        run.arg(&file).args(["sh", "-c", "echo $TMPDIR"]).ok().trim().to_owned()
    };
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    assert_eq!(told("", &home.join("job")), text(&home.join("job")));
    assert_eq!((told("", &scratch), told("", &home.join("none"))), (String::new(), String::new()));
    assert_eq!(told(&format!("-v {0}:{0}", scratch.display()), &scratch), text(&scratch));
    assert_eq!(told("-e TMPDIR=/mine", &home.join("job")), "/mine");
}

/// As `module load` sets it, of a compiler or a Python with libraries of its own.
#[test]
fn libraries_of_the_callers_are_not_for_the_systems_programs() {
    need!("subid", "registry", "fuse", "squashfuse", "mksquashfs", "tmpfs-xattr");
    let (w, file) = World::with_image_file();
    let libraries = w.dir.join("home/lib");
    std::fs::create_dir(&libraries).unwrap();
    for name in ["libfuse3.so.3", "libsquashfuse.so.0", "libz.so.1", "libzstd.so.1", "libpthread.so.0"] {
        std::fs::write(libraries.join(name), "no library").unwrap();
    }
    let loaded = |line: &str| w.c(line).env("LD_LIBRARY_PATH", &libraries).env("LD_PRELOAD", "");
    for flags in ["run --rm --hpc", "run --rm --network none"] {
        assert_eq!(loaded(flags).arg(&file).args(["echo", "ran"]).ok(), "ran\n", "{flags}");
    }
    loaded("image squash bb").arg(w.dir.join("home/again.sqsh")).ok();
    // Who asks for it in the container has it there.
    let told = ["sh", "-c", "echo $LD_LIBRARY_PATH"];
    let out = loaded("run --rm --network none -e LD_LIBRARY_PATH").arg(&file).args(told).ok();
    assert_eq!(out.trim(), libraries.to_str().unwrap());
}
