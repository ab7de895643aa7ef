//! A container's cgroup v2 directory, by files: make it, put processes in, freeze, kill, remove.
//!
//! The tree is used where it is mounted (`delegate::tree`), on hybrid machines too. A path of config.json is cut into plain
//! components: `..` is refused (R16). `cgroup.kill` ends everything in one write; kernels before 5.14 get a kill loop.

use super::limits;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use oci_spec::runtime::LinuxResources;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Times that a busy directory is tried again before `remove` gives up: dying processes leave it within milliseconds.
const REMOVE_TRIES: u32 = 200;

/// Controllers that are asked for on the way down to a new cgroup.
const CONTROLLERS: [&str; 7] = ["cpu", "memory", "pids", "io", "cpuset", "hugetlb", "rdma"];

/// An existing cgroup directory.
#[derive(Debug)]
pub struct Cgroup {
    dir: OwnedFd,
    path: PathBuf,
}

/// Where a `cgroupsPath` is: absolute below the tree's mount; relative (or none: `id`) below our own cgroup.
/// `None` where there is no cgroup v2 tree.
pub fn resolve(cgroups_path: Option<&str>, id: &str) -> Result<Option<PathBuf>> {
    let Some(tree) = super::delegate::tree() else { return Ok(None) };
    let wanted = Path::new(cgroups_path.filter(|p| !p.is_empty()).unwrap_or(id));
    let base = if wanted.is_absolute() {
        PathBuf::from(tree.mount)
    } else {
        super::delegate::own_dir().unwrap_or_else(|| PathBuf::from(tree.mount))
    };
    let mut path = base;
    for component in wanted.components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::usage(format_args!(
                    "invalid cgroupsPath {:?}",
                    wanted.display().to_string()
                ))
                .cause("`..` is not allowed in it"));
            }
        }
    }
    Ok(Some(path))
}

impl Cgroup {
    /// Opens it; `None` when it does not exist.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(dir) => Ok(Some(Self { dir, path: path.to_owned() })),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(e) => Err(e).call(|| format!("open({path:?})"))?,
        }
    }

    /// Makes it, with its parents, and enables on the way every controller that may be enabled.
    pub fn create(path: &Path) -> Result<Self> {
        let mut missing = Vec::new();
        let mut at = path;
        let top = loop {
            match Self::open(at).what(|| format!("cannot use cgroup {}", path.display()))? {
                Some(cgroup) => break cgroup,
                None => missing.push(at.file_name().unwrap_or_default().to_owned()),
            }
            at = at
                .parent()
                .ok_or_else(|| Error::host(format_args!("no cgroup v2 tree above {}", path.display())))?;
        };
        let mut cgroup = top;
        for name in missing.into_iter().rev() {
            cgroup.enable_controllers();
            match rustix::fs::mkdirat(&cgroup.dir, &name, Mode::from(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => Err(e)
                    .call(|| format!("mkdirat({:?})", cgroup.path.join(&name)))
                    .what(|| format!("cannot make cgroup {}", path.display()))?,
            }
            let next = cgroup.path.join(&name);
            cgroup = Self::open(&next)?.ok_or_else(|| {
                Error::host(format_args!("cgroup {} vanished while it was made", next.display()))
            })?;
        }
        Ok(cgroup)
    }

    /// For clone3's CLONE_INTO_CGROUP.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the limits of `resources`. A limit whose controller is missing is an error, never silence.
    pub fn apply(&self, resources: &LinuxResources) -> Result<()> {
        for setting in limits::settings(resources, |file| self.has(file))? {
            // Without the controller there is no limit, which is what is asked for.
            if setting.is_unlimited() && !self.has(&setting.file) {
                continue;
            }
            self.write(&setting.file, &setting.value).map_err(|e| {
                let controllers = self.read("cgroup.controllers").unwrap_or_default();
                limits::explain(&setting, &self.path, &controllers, &e)
            })?;
        }
        Ok(())
    }

    /// Puts a process in.
    pub fn add(&self, pid: i32) -> Result<()> {
        Ok(self.write("cgroup.procs", &pid.to_string())?)
    }

    /// Every process in it and below it.
    pub fn processes(&self) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        self.walk(&mut |cgroup| {
            let text = cgroup.read("cgroup.procs").unwrap_or_default();
            pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()).filter(|pid| *pid > 0));
        });
        pids.sort_unstable();
        pids.dedup();
        Ok(pids)
    }

    /// SIGKILL to every process in it and below it.
    pub fn kill_all(&self) -> Result<()> {
        match self.write("cgroup.kill", "1") {
            Ok(()) => return Ok(()),
            Err(e) if e.raw_os_error() == libc::ENOENT => {}
            Err(e) => return Err(e.into()),
        }
        // Before Linux 5.14: frozen, so that nothing forks between the listing and the kill.
        let _ = self.freeze();
        for pid in self.processes()? {
            if let Some(pid) = rustix::process::Pid::from_raw(pid) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        self.thaw()
    }

    /// Stops every process and waits until they are stopped.
    pub fn freeze(&self) -> Result<()> {
        self.set_frozen(true)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    /// Whether it was frozen.
    pub fn is_frozen(&self) -> bool {
        self.read("cgroup.freeze").is_some_and(|text| text.trim() == "1")
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let value = if frozen { "1" } else { "0" };
        self.write("cgroup.freeze", value)
            .what(|| format!("cannot freeze or thaw cgroup {}", self.path.display()))?;
        for _ in 0..2000 {
            let events = self.read("cgroup.events").unwrap_or_default();
            let line = format!("frozen {value}");
            if events.lines().any(|l| l == line) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Error::host(format_args!("cgroup {} does not freeze", self.path.display()))
            .cause("2 seconds passed"))
    }

    /// Removes it with everything below. Processes that are dying are waited for, up to 2 seconds.
    pub fn remove(&self) -> Result<()> {
        for attempt in 0..REMOVE_TRIES {
            match remove_below(self.dir.as_fd()).and_then(|()| rustix::fs::rmdir(&self.path)) {
                Ok(()) | Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
                Err(Errno::BUSY) if attempt + 1 < REMOVE_TRIES => {
                    std::thread::sleep(Duration::from_millis(if attempt < 20 { 1 } else { 11 }));
                }
                Err(e) => {
                    Err(e).call(|| format!("rmdir({:?})", self.path)).what(|| "cannot remove the cgroup")?;
                }
            }
        }
        Ok(())
    }

    /// The text of one of its files; `None` when it cannot be read.
    pub fn read(&self, file: &str) -> Option<String> {
        let fd = rustix::fs::openat(&self.dir, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        std::io::read_to_string(std::fs::File::from(fd)).ok()
    }

    fn has(&self, file: &str) -> bool {
        rustix::fs::accessat(&self.dir, file, rustix::fs::Access::EXISTS, AtFlags::empty()).is_ok()
    }

    fn write(&self, file: &str, value: &str) -> crate::sys::Result<()> {
        let call = || format!("write({:?}, {value:?})", self.path.join(file));
        let fd = rustix::fs::openat(&self.dir, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .call(call)?;
        rustix::io::write(&fd, value.as_bytes()).call(call)?;
        Ok(())
    }

    /// Best effort: what cannot be enabled here shows when a limit needs it.
    fn enable_controllers(&self) {
        let have = self.read("cgroup.controllers").unwrap_or_default();
        let enabled = self.read("cgroup.subtree_control").unwrap_or_default();
        let on = |name: &str| enabled.split_ascii_whitespace().any(|c| c == name);
        for name in have.split_ascii_whitespace().filter(|name| CONTROLLERS.contains(name) && !on(name)) {
            let _ = self.write("cgroup.subtree_control", &format!("+{name}"));
        }
    }

    fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        for name in children(self.dir.as_fd()) {
            if let Ok(Some(child)) = Self::open(&self.path.join(std::ffi::OsStr::from_bytes(name.as_bytes())))
            {
                child.walk(visit);
            }
        }
    }
}

fn children(dir: BorrowedFd<'_>) -> Vec<std::ffi::CString> {
    let Ok(entries) = rustix::fs::Dir::read_from(dir) else { return Vec::new() };
    entries
        .filter_map(std::result::Result::ok)
        .filter(|entry| entry.file_type() == rustix::fs::FileType::Directory)
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| name.as_c_str() != c"." && name.as_c_str() != c"..")
        .collect()
}

fn remove_below(dir: BorrowedFd<'_>) -> rustix::io::Result<()> {
    for name in children(dir) {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = rustix::fs::openat(dir, &name, flags, Mode::empty())?;
        remove_below(child.as_fd())?;
        rustix::fs::unlinkat(dir, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}
