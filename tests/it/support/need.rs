//! Prerequisites of tests, by outcome. A missing one is a loud skip, and a failure where CORACLE_TEST_REQUIRE names it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};

use super::user;

/// `need!("subid", "strace");` at the head of a test: returns from it when something is missing.
#[macro_export]
macro_rules! need {
    ($($word:literal),+ $(,)?) => {
        $(if !$crate::support::need::have($word) { return; })+
    };
}

/// Says why not, once for each test that asks. Panics when CORACLE_TEST_REQUIRE lists `word`.
pub fn have(word: &str) -> bool {
    static ANSWERS: LazyLock<Mutex<BTreeMap<String, Option<String>>>> = LazyLock::new(Mutex::default);
    let missing = {
        let mut answers = ANSWERS.lock().unwrap();
        answers.entry(word.to_owned()).or_insert_with(|| missing(word)).clone()
    };
    let Some(reason) = missing else { return true };
    let required = std::env::var("CORACLE_TEST_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|listed| listed.trim() == word),
        "prerequisite {word} is required and missing: {reason}"
    );
    skip(&format!("{word}: {reason}"));
    false
}

/// One line at column 0 that the runner counts.
pub fn skip(reason: &str) {
    use std::io::Write;
    let thread = std::thread::current();
    // Past libtest's capture.
    let _ = writeln!(std::io::stderr(), "skip: {}: {reason}", thread.name().unwrap_or("?"));
}

fn missing(word: &str) -> Option<String> {
    if let Err(reason) = user::become_user() {
        return Some(reason.clone());
    }
    match word {
        "userns" => quiet("unshare", &["--user", "--map-root-user", "true"]),
        "subid" => subid(),
        "cgroup" => {
            (!cgroup_writable()).then(|| "this process's cgroup2 directory is not writable".to_owned())
        }
        "systemd" => quiet("busctl", &["--user", "--no-pager", "status"]),
        "fuse" => open_rw("/dev/fuse"),
        "tun" => open_rw("/dev/net/tun"),
        "overlay" => in_namespace(
            "d=$(mktemp -d); mkdir $d/l $d/u $d/w $d/m; mount -t overlay \
             -o userxattr,lowerdir=$d/l,upperdir=$d/u,workdir=$d/w o $d/m; r=$?; umount $d/m; rm -rf $d; exit $r",
        ),
        // Linux 6.6.
        "tmpfs-xattr" => {
            in_namespace("mount -t tmpfs t /mnt && mkdir /mnt/d && setfattr -n user.word -v x /mnt/d")
        }
        "weakened" => variable("CORACLE_TEST_WEAKENED"),
        "registry" => variable("CORACLE_TEST_REGISTRY"),
        "images" => variable("CORACLE_TEST_IMAGES"),
        "busybox" => busybox().err(),
        "runtime" => runtime().err(),
        "coracle-oci" => {
            let name = runtime().map(|path| path.file_name().unwrap_or_default().to_owned());
            (name != Ok("coracle-oci".into())).then(|| "a test of our own runtime's strictness".to_owned())
        }
        tool => find(tool).is_none().then(|| format!("no {tool} in PATH")),
    }
}

/// The statically linked busybox that rootfs directories are made of.
pub fn busybox() -> Result<PathBuf, String> {
    let candidates = ["/bin/busybox", "/usr/bin/busybox", "/usr/lib/busybox/bin/busybox.static"];
    let found = candidates.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_path_buf).ok_or_else(|| "no busybox: install busybox-static".to_owned())
}

/// The runtime under test.
pub fn runtime() -> Result<PathBuf, String> {
    match std::env::var("CORACLE_TEST_RUNTIME").as_deref() {
        Err(_) | Ok("" | "coracle-oci") => Ok(program("coracle-oci", env!("CARGO_BIN_EXE_coracle-oci"))),
        Ok(other) => find(other).ok_or_else(|| format!("no {other} in PATH")),
    }
}

/// A program of ours: from CORACLE_TEST_BIN, else what cargo built for this test.
pub fn program(name: &str, built: &str) -> PathBuf {
    std::env::var_os("CORACLE_TEST_BIN")
        .map_or_else(|| PathBuf::from(built), |dir| Path::new(&dir).join(name))
}

pub fn find(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let sbin = ["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(sbin).map(|dir| dir.join(tool)).find(|path| path.is_file())
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).is_none().then(|| format!("{name} is not set: tests/run sets it"))
}

/// Runs a probe; its last word on stderr is the reason.
fn quiet(tool: &str, args: &[&str]) -> Option<String> {
    let Some(path) = find(tool) else { return Some(format!("no {tool} in PATH")) };
    let output = Command::new(path).args(args).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("{tool}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(e) => Some(format!("{tool}: {e}")),
    }
}

/// What root of a user namespace may do.
fn in_namespace(script: &str) -> Option<String> {
    quiet("unshare", &["--user", "--map-root-user", "--mount", "sh", "-c", script])
}

fn subid() -> Option<String> {
    let wide = |file: &str| -> bool {
        let (name, (uid, _)) = (user::name(), user::ids());
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(|line| line.split(':').collect::<Vec<_>>()).any(|fields| {
            (fields[0] == name || fields[0] == uid.to_string())
                && fields.get(2).and_then(|n| n.parse::<u32>().ok()).is_some_and(|n| n >= 65536)
        })
    };
    if !wide("/etc/subuid") || !wide("/etc/subgid") {
        return Some(format!("no 65536 subordinate ids for {}", user::name()));
    }
    quiet("unshare", &["--user", "--map-root-user", "--map-auto", "true"])
}

fn cgroup_writable() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::")) else { return false };
    let dir = Path::new("/sys/fs/cgroup").join(path.trim_start_matches('/'));
    rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK).is_ok() && dir.join("cgroup.procs").exists()
}

fn open_rw(path: &str) -> Option<String> {
    std::fs::File::options().read(true).write(true).open(path).err().map(|e| format!("{path}: {e}"))
}
