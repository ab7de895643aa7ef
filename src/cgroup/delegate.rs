//! Where this process is in the cgroup v2 tree, and whether that place was given to us (a Slurm step, a container).
//!
//! Used when no systemd manager can make a scope. The tree is where it is mounted: `/sys/fs/cgroup`, or
//! `/sys/fs/cgroup/unified` on a hybrid machine. It is never mounted afresh: that resets the real mount's options.
//!
//! The kernel allows controllers for children only where no process sits (the root excepted), so a delegated cgroup is
//! used as `<dir>/supervisor` (monitor, helpers) and `<dir>/payload`, with nothing in `<dir>` itself.

use crate::error::{Context, Error, Result};
use crate::sys::{CallContext, ErrnoText};
use rustix::fs::{Access, AtFlags, Gid, Uid};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Places of the unified tree, pure v2 first.
const MOUNT_POINTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// The mounted cgroup v2 tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tree {
    pub mount: &'static str,
    /// Controllers are bound to cgroup v1: this tree can group and kill, but hardly limit.
    pub hybrid: bool,
}

/// A cgroup divided in two, and what could be enabled for its children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// For the monitor and its helpers.
    pub supervisor: PathBuf,
    /// For the container; limits are written here.
    pub payload: PathBuf,
    /// Controllers that `payload` has.
    pub enabled: Vec<String>,
    /// Controllers that the parent has and would not give, with the reason.
    pub refused: Vec<(String, String)>,
}

/// The unified tree, where there is one.
pub fn tree() -> Option<Tree> {
    let mount = MOUNT_POINTS.into_iter().find(|point| {
        rustix::fs::statfs(*point)
            .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t == CGROUP2_SUPER_MAGIC))
    })?;
    let hybrid = Path::new("/sys/fs/cgroup/unified").exists()
        || std::fs::read_to_string("/proc/self/cgroup").is_ok_and(|text| has_v1(&text));
    Some(Tree { mount, hybrid })
}

/// The v2 path of a process, `/user.slice/…`, as its `/proc/<pid>/cgroup` says. None: not in a v2 tree, or gone.
pub fn path_of(pid: i32) -> Option<String> {
    unified_path(&std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

/// The directory of our own cgroup.
pub fn own_dir() -> Option<PathBuf> {
    let path = unified_path(&std::fs::read_to_string("/proc/self/cgroup").ok()?)?;
    let dir = dir_of(tree()?, &path)?;
    dir.is_dir().then_some(dir)
}

/// The directory of a path that `/proc/<pid>/cgroup` shows. None: it is outside of our view (`/../x`).
pub fn dir_of(tree: Tree, path: &str) -> Option<PathBuf> {
    if path.split('/').any(|part| part == "..") {
        return None;
    }
    Some(Path::new(tree.mount).join(path.trim_start_matches('/')))
}

/// Our own cgroup directory, when we may make children in it and move ourselves there.
pub fn writable() -> Option<PathBuf> {
    own_dir().filter(|dir| is_delegated(dir))
}

/// The kernel's three conditions of delegation: make children, move processes in, enable controllers.
pub fn is_delegated(dir: &Path) -> bool {
    [".", "cgroup.procs", "cgroup.subtree_control"].iter().all(|file| {
        let path = dir.join(file);
        rustix::fs::accessat(rustix::fs::CWD, &path, Access::WRITE_OK, AtFlags::EACCESS).is_ok()
    })
}

/// Controllers that this cgroup has from its parent (`cgroup.controllers`).
pub fn controllers(dir: &Path) -> Vec<String> {
    words(&dir.join("cgroup.controllers"))
}

/// Controllers that its children have (`cgroup.subtree_control`).
pub fn subtree_control(dir: &Path) -> Vec<String> {
    words(&dir.join("cgroup.subtree_control"))
}

/// Files of a cgroup that belong to whom it is delegated to, on this kernel.
const DELEGATED: &str = "/sys/kernel/cgroup/delegate";

/// Gives a cgroup to another owner, as systemd does for the cgroups of its users: the directory, and the files that move
/// processes and enable controllers. The limits of the cgroup itself stay the giver's.
pub fn give(dir: &Path, uid: u32, gid: u32) -> Result<()> {
    let own = |path: &Path| {
        rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
            .call(|| format!("chown({path:?}, {uid}, {gid})"))
    };
    own(dir)?;
    for file in ["cgroup.procs", "cgroup.subtree_control"] {
        own(&dir.join(file))?;
    }
    // Not every kernel has the others, nor every cgroup.
    for file in std::iter::once("cgroup.threads".to_owned()).chain(words(Path::new(DELEGATED))) {
        let _ = own(&dir.join(file));
    }
    Ok(())
}

/// Moves the caller to `<dir>/supervisor`, makes `<dir>/payload`, and enables for it what the parent has.
pub fn split(dir: &Path) -> Result<Split> {
    let supervisor = make_child(dir, "supervisor")?;
    let payload = make_child(dir, "payload")?;
    write_file(&supervisor.join("cgroup.procs"), &rustix::process::getpid().to_string())
        .what(|| "cannot move the monitor into its cgroup")
        .hint(|| "Start it from a cgroup that was delegated to you, or use --cgroups=disabled.")?;
    let (enabled, refused) = enable(dir, &controllers(dir));
    Ok(Split { supervisor, payload, enabled, refused })
}

/// Enables controllers for the children of `dir`, one by one: one that is refused must not cost the others.
pub fn enable(dir: &Path, wanted: &[String]) -> (Vec<String>, Vec<(String, String)>) {
    let file = dir.join("cgroup.subtree_control");
    let all: String = wanted.iter().map(|name| format!("+{name} ")).collect();
    if all.is_empty() || write_file(&file, &all).is_ok() {
        return (wanted.to_vec(), Vec::new());
    }
    let mut refused = Vec::new();
    let have = subtree_control(dir);
    for name in wanted.iter().filter(|name| !have.contains(name)) {
        if let Err(e) = write_file(&file, &format!("+{name}")) {
            let why = e.errno().map_or_else(|| e.to_string(), |errno| ErrnoText(errno).to_string());
            refused.push((name.clone(), why));
        }
    }
    let enabled =
        wanted.iter().filter(|name| !refused.iter().any(|(other, _)| other == *name)).cloned().collect();
    (enabled, refused)
}

fn make_child(dir: &Path, name: &str) -> Result<PathBuf> {
    let child = dir.join(name);
    match rustix::fs::mkdir(&child, rustix::fs::Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(child),
        Err(e) => Err(Error::from(crate::sys::Error::new(format!("mkdir({child:?})"), e.raw_os_error()))
            .wrap(format_args!("cannot make the cgroup {name}"))),
    }
}

/// One write(2), as the kernel's control files want it.
fn write_file(path: &Path, text: &str) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .call(|| format!("write({path:?}, {text:?})"))?;
    Ok(())
}

fn words(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file)
        .map(|text| text.split_whitespace().map(str::to_owned).collect())
        .unwrap_or_default()
}

/// The path of the line `0::/…` of /proc/<pid>/cgroup.
fn unified_path(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    // The kernel marks a cgroup that was removed while its process lives.
    Some(path.strip_suffix(" (deleted)").unwrap_or(path).to_owned())
}

/// A line of a numbered hierarchy with controllers: cgroup v1.
fn has_v1(text: &str) -> bool {
    text.lines().any(|line| {
        let mut parts = line.splitn(3, ':');
        let (number, names) = (parts.next(), parts.next());
        number != Some("0") && names.is_some_and(|names| !names.is_empty() && !names.starts_with("name="))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unified_line_is_found_among_v1_lines() {
        let hybrid = "11:memory:/a\n1:name=systemd:/b\n0::/user.slice/x.scope\n";
        assert_eq!(unified_path(hybrid).as_deref(), Some("/user.slice/x.scope"));
        assert!(has_v1(hybrid));
        assert!(!has_v1("1:name=systemd:/b\n0::/x\n"));
        assert_eq!(unified_path("0::/gone (deleted)\n").as_deref(), Some("/gone"));
        assert_eq!(unified_path("1:name=systemd:/b\n"), None);
    }

    #[test]
    fn a_path_out_of_the_namespace_has_no_directory() {
        let tree = Tree { mount: "/sys/fs/cgroup", hybrid: false };
        assert_eq!(dir_of(tree, "/a/b"), Some("/sys/fs/cgroup/a/b".into()));
        assert_eq!(dir_of(tree, "/"), Some("/sys/fs/cgroup".into()));
        assert_eq!(dir_of(tree, "/../other"), None);
    }
}
