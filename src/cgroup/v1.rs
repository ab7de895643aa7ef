//! cgroup v1 beside v2: the directories of one cgroup in the hierarchies that are still mounted (hybrid machines, old
//! clusters), for real root. Everybody else has no rights there, and gets what v2 offers.
//!
//! One cgroup has the same path in every hierarchy, so that it is found again from one of them: from its v2 directory,
//! or, where no v2 tree is mounted, from that of the freezer (the anchor).

use super::delegate;
use super::limits::Setting;
use super::v1_limits;
use crate::error::{Context, Error, Result};
use crate::sys::{self, CallContext};
use oci_spec::runtime::LinuxResources;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CGROUP1_SUPER_MAGIC: u64 = 0x0027_e0eb;

/// include/linux/proc_ns.h, PROC_USER_INIT_INO.
const INITIAL_USER_NAMESPACE: u64 = 0xEFFF_FFFD;

/// A mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// `cpu`, `cpuacct`; `name=systemd` for one without controllers.
    pub controllers: Vec<String>,
    pub mount: PathBuf,
}

/// The directory of a cgroup in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dir {
    pub controllers: Vec<String>,
    pub path: PathBuf,
    mount: PathBuf,
}

/// The hierarchies that we may use; none on a machine with v2 alone, and none for anybody but real root.
pub fn hierarchies() -> Vec<Hierarchy> {
    if !is_real_root() { Vec::new() } else { mounted() }
}

/// Those that are mounted and visible.
fn mounted() -> Vec<Hierarchy> {
    if delegate::tree().is_some_and(|tree| !tree.hybrid) {
        return Vec::new();
    }
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    // What another mount hides is no hierarchy for us.
    let visible = |h: &Hierarchy| {
        rustix::fs::statfs(&h.mount)
            .is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|t| t == CGROUP1_SUPER_MAGIC))
    };
    parse(&text).into_iter().filter(visible).collect()
}

/// Root, and not only of a user namespace.
pub fn is_real_root() -> bool {
    rustix::process::geteuid().is_root()
        && rustix::fs::stat("/proc/self/ns/user").is_ok_and(|stat| stat.st_ino == INITIAL_USER_NAMESPACE)
}

/// The lines of /proc/self/mountinfo of type cgroup.
fn parse(mountinfo: &str) -> Vec<Hierarchy> {
    const KNOWN: [&str; 14] = [
        "cpu",
        "cpuacct",
        "cpuset",
        "memory",
        "devices",
        "freezer",
        "blkio",
        "pids",
        "hugetlb",
        "net_cls",
        "net_prio",
        "perf_event",
        "rdma",
        "misc",
    ];
    let mut all: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else { continue };
        let mut right = right.split(' ');
        let (kind, _source, options) = (right.next(), right.next(), right.next().unwrap_or_default());
        let Some(mount) = left.split(' ').nth(4).filter(|_| kind == Some("cgroup")) else { continue };
        let controllers: Vec<String> = options
            .split(',')
            .filter(|word| KNOWN.contains(word) || word.starts_with("name="))
            .map(str::to_owned)
            .collect();
        if !controllers.is_empty() && !all.iter().any(|h| h.controllers == controllers) {
            all.push(Hierarchy { controllers, mount: mount.into() });
        }
    }
    all
}

/// Where cgroups are found from: the v2 tree, else the freezer's hierarchy.
pub fn anchor() -> Option<PathBuf> {
    if let Some(tree) = delegate::tree() {
        return Some(PathBuf::from(tree.mount));
    }
    hierarchies().into_iter().find(|h| h.controllers.iter().any(|c| c == "freezer")).map(|h| h.mount)
}

/// The other directories of the cgroup at `path`, which need not exist. Asked for each container: who has none reads no file.
pub fn beside(path: &Path) -> Vec<Dir> {
    let all = hierarchies();
    if all.is_empty() {
        return Vec::new();
    }
    let Some(below) = anchor().and_then(|anchor| path.strip_prefix(anchor).ok().map(Path::to_owned)) else {
        return Vec::new();
    };
    let dir = |h: Hierarchy| Dir { path: h.mount.join(&below), controllers: h.controllers, mount: h.mount };
    all.into_iter().map(dir).collect()
}

/// Our own directories, to look at: with or without rights over them.
pub fn own() -> Vec<Dir> {
    let all = mounted();
    let text = if all.is_empty() { String::new() } else { own_lines() };
    let dir = |h: Hierarchy| {
        let below = path_in(&text, &h.controllers)?;
        let path = h.mount.join(below.trim_start_matches('/'));
        path.is_dir().then_some(Dir { path, controllers: h.controllers, mount: h.mount })
    };
    all.into_iter().filter_map(dir).collect()
}

fn own_lines() -> String {
    std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

/// The path in the line `N:CONTROLLERS:PATH` of a hierarchy.
fn path_in<'a>(cgroup: &'a str, controllers: &[String]) -> Option<&'a str> {
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        let outside = path.split('/').any(|part| part == "..");
        (!outside && controllers.iter().any(|c| names.split(',').any(|name| name == c))).then_some(path)
    })
}

impl Dir {
    /// Whether it is of this controller.
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|c| c == controller)
    }

    /// What a container sees it as below /sys/fs/cgroup.
    pub fn names(&self) -> Vec<String> {
        let plain = |c: &String| c.strip_prefix("name=").unwrap_or(c).to_owned();
        let mut names: Vec<String> = self.controllers.iter().map(plain).collect();
        if names.len() > 1 {
            names.insert(0, names.join(","));
        }
        names
    }

    /// Makes it with its parents. A new cpuset takes no process before it has cpus and memory nodes: its parent's.
    pub fn create(&self) -> Result<()> {
        std::fs::create_dir_all(&self.path)
            .call(|| format!("mkdir({:?})", self.path))
            .what(|| format!("cannot make cgroup {}", self.path.display()))?;
        if !self.has("cpuset") {
            return Ok(());
        }
        let below = self.path.strip_prefix(&self.mount).unwrap_or(Path::new(""));
        let mut at = self.mount.clone();
        for name in below {
            let parent = at.clone();
            at.push(name);
            for file in ["cpuset.cpus", "cpuset.mems"] {
                let empty = std::fs::read_to_string(at.join(file)).is_ok_and(|text| text.trim().is_empty());
                if let (true, Ok(value)) = (empty, std::fs::read_to_string(parent.join(file))) {
                    write(&at.join(file), value.trim())?;
                }
            }
        }
        Ok(())
    }

    /// Removes it with everything below; what is busy stays an error of the caller's loop.
    pub fn remove(&self) -> rustix::io::Result<()> {
        remove_below(&self.path)
    }

    /// One of its files.
    pub fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.path.join(file)).ok()
    }

    /// Puts a process in.
    pub fn add(&self, pid: i32) -> Result<()> {
        Ok(write(&self.path.join("cgroup.procs"), &pid.to_string())?)
    }

    /// The cgroup `name` below it.
    pub fn below(&self, name: &str) -> Self {
        Self { path: self.path.join(name.trim_start_matches('/')), ..self.clone() }
    }
}

/// Writes the limits and the device rules of `resources`. A limit without its controller is an error.
pub fn apply(dirs: &[Dir], resources: &LinuxResources) -> Result<()> {
    if resources.unified().as_ref().is_some_and(|unified| !unified.is_empty()) {
        return Err(Error::usage("invalid configuration: resources.unified needs cgroup v2")
            .cause("the controllers of this machine are bound to cgroup v1"));
    }
    let find = |controller: &str| dirs.iter().find(|dir| dir.has(controller));
    let exists = |file: &str| {
        find(file.split('.').next().unwrap_or_default()).is_some_and(|dir| dir.path.join(file).exists())
    };
    let mut refused: Vec<Setting> = Vec::new();
    for setting in v1_limits::settings(resources, exists) {
        let controller = setting.file.split('.').next().unwrap_or_default();
        let Some(dir) = find(controller) else {
            if setting.is_unlimited() || setting.value == "-1" {
                continue;
            }
            return Err(Error::host(format_args!("cannot set {} to {}", setting.what, setting.value))
                .cause(format_args!("the cgroup controller {controller} is not mounted")));
        };
        let path = dir.path.join(&setting.file);
        match write(&path, &setting.value) {
            Ok(()) => {}
            // A pair of values that depend on each other (memory and swap, period and quota): again after the other.
            Err(e) if matches!(e.raw_os_error(), libc::EINVAL | libc::EBUSY) && setting.is_paired() => {
                refused.push(setting);
            }
            Err(e) => return Err(explain(&setting, &path, e)),
        }
    }
    for setting in refused {
        let controller = setting.file.split('.').next().unwrap_or_default();
        let Some(dir) = find(controller) else { continue };
        let path = dir.path.join(&setting.file);
        write(&path, &setting.value).map_err(|e| explain(&setting, &path, e))?;
    }
    Ok(())
}

/// Writes the device rules.
pub fn apply_devices(dirs: &[Dir], rules: &[super::devices::Rule]) -> Result<()> {
    let Some(dir) = dirs.iter().find(|dir| dir.has("devices")) else { return Ok(()) };
    for (file, value) in super::devices::v1_writes(rules) {
        let path = dir.path.join(file);
        write(&path, &value).what(|| "cannot limit the devices of the container")?;
    }
    Ok(())
}

fn explain(setting: &Setting, path: &Path, failed: sys::Error) -> Error {
    let error = Error::host(format_args!("cannot set {} to {}", setting.what, setting.value));
    match path.exists() {
        true => error.cause(failed),
        false => error.cause(format_args!("this kernel has no {}", setting.file)).cause(failed),
    }
}

/// Freezes or thaws by the freezer, for a machine without v2.
pub fn set_frozen(dirs: &[Dir], frozen: bool) -> Result<()> {
    let dir = dirs
        .iter()
        .find(|dir| dir.has("freezer"))
        .ok_or_else(|| Error::host("cannot freeze").cause("the cgroup controller freezer is not mounted"))?;
    let word = if frozen { "FROZEN" } else { "THAWED" };
    for _ in 0..2000 {
        write(&dir.path.join("freezer.state"), word)?;
        if dir.read("freezer.state").is_some_and(|text| text.trim() == word) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Error::host(format_args!("cgroup {} does not freeze", dir.path.display())).cause("2 seconds passed"))
}

/// Whether the freezer holds it.
pub fn is_frozen(dirs: &[Dir]) -> bool {
    dirs.iter()
        .filter(|dir| dir.has("freezer"))
        .any(|dir| dir.read("freezer.state").is_some_and(|text| text.trim() != "THAWED"))
}

/// One write(2), as the kernel's control files want it.
fn write(path: &Path, value: &str) -> crate::sys::Result<()> {
    let call = || format!("write({path:?}, {value:?})");
    let fd = rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).call(call)?;
    rustix::io::write(&fd, value.as_bytes()).call(call)?;
    Ok(())
}

fn remove_below(path: &Path) -> rustix::io::Result<()> {
    let Ok(entries) = std::fs::read_dir(path) else { return Ok(()) };
    for entry in entries.filter_map(std::result::Result::ok) {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_below(&entry.path())?;
        }
    }
    match rustix::fs::rmdir(path) {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hierarchies_are_read_from_mountinfo() {
        let text = "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
                    32 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,name=systemd\n\
                    33 25 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
        let all = parse(text);
        assert_eq!(all.len(), 2);
        assert_eq!(all.first().unwrap().controllers, ["cpu", "cpuacct"]);
        let dir = Dir {
            controllers: all.first().unwrap().controllers.clone(),
            path: "/x".into(),
            mount: "/".into(),
        };
        assert_eq!(dir.names(), ["cpu,cpuacct", "cpu", "cpuacct"]);
        assert_eq!(all.get(1).unwrap().controllers, ["name=systemd"]);
    }
}
