//! A container's cgroup v2 directory, by files: make it, put processes in, freeze, kill, remove.
//!
//! The tree is used where it is mounted (`delegate::tree`), on hybrid machines too. A path of config.json is cut into plain
//! components: `..` is refused (R16). `cgroup.kill` ends everything in one write; kernels before 5.14 get a kill loop.

use super::{delegate, devices, limits, v1};
use crate::error::{Context, Error, Result};
use crate::sys::{CallContext, bpf};
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
    /// Its directories in the hierarchies of v1, for real root.
    v1: Vec<v1::Dir>,
    /// It was there before `create`.
    existed: bool,
}

/// Where a `cgroupsPath` is: absolute below the tree's mount; relative (or none: `id`) beside our own cgroup, or below it.
/// `None` where there is no cgroup tree that we could use.
pub fn resolve(cgroups_path: Option<&str>, id: &str) -> Result<Option<PathBuf>> {
    let Some(tree) = v1::anchor() else { return Ok(None) };
    let wanted = Path::new(cgroups_path.filter(|p| !p.is_empty()).unwrap_or(id));
    let base = if wanted.is_absolute() { tree } else { base_of_relative(&tree).unwrap_or(tree) };
    let mut path = base.clone();
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
    // Deleting the container kills everything in its cgroup: that must not be we ourselves.
    let holds_us = delegate::own_dir().is_some_and(|own| own.starts_with(&path));
    if path == base || holds_us {
        return Err(Error::usage(format_args!("invalid cgroupsPath {:?}", wanted.display().to_string()))
            .cause(format_args!("{} holds the runtime itself", path.display())));
    }
    Ok(Some(path))
}

/// Where relative paths begin. The children of our own cgroup get no controllers, because we are in it: the place is beside
/// it, as runc's, where we may make cgroups and move processes; else below it, for what needs no controller.
fn base_of_relative(tree: &Path) -> Option<PathBuf> {
    let own = delegate::own_dir()?;
    let beside = own.parent().filter(|dir| dir.starts_with(tree) && delegate::is_delegated(dir));
    Some(beside.map_or_else(|| own.clone(), Path::to_owned))
}

impl Cgroup {
    /// Opens it; `None` when it does not exist.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        let cgroup = Self::open_alone(path)?;
        Ok(cgroup.map(|cgroup| Self { v1: v1::beside(path), ..cgroup }))
    }

    /// Without its directories of v1.
    fn open_alone(path: &Path) -> Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(dir) => Ok(Some(Self { dir, path: path.to_owned(), v1: Vec::new(), existed: true })),
            Err(Errno::NOENT | Errno::NODEV) => Ok(None),
            Err(e) => Err(e).call(|| format!("open({path:?})"))?,
        }
    }

    /// Makes it, with its parents, and enables on the way every controller that may be enabled.
    pub fn create(path: &Path) -> Result<Self> {
        let mut missing = Vec::new();
        let mut at = path;
        let top = loop {
            match Self::open_alone(at).what(|| format!("cannot use cgroup {}", path.display()))? {
                Some(cgroup) => break cgroup,
                None => missing.push(at.file_name().unwrap_or_default().to_owned()),
            }
            at = at
                .parent()
                .ok_or_else(|| Error::host(format_args!("no cgroup v2 tree above {}", path.display())))?;
        };
        let existed = missing.is_empty();
        Self::create_below(top, missing, path, existed).inspect_err(|_| {
            // Of what was made above, only what is empty goes.
            if !existed {
                let _ = rustix::fs::rmdir(path);
            }
        })
    }

    /// `missing` names, the last one first, below `top`.
    fn create_below(top: Self, missing: Vec<std::ffi::OsString>, path: &Path, existed: bool) -> Result<Self> {
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
            cgroup = Self::open_alone(&next)?.ok_or_else(|| {
                Error::host(format_args!("cgroup {} vanished while it was made", next.display()))
            })?;
        }
        cgroup.v1 = v1::beside(path);
        cgroup.existed = existed || cgroup.v1.iter().any(|dir| dir.path.exists());
        cgroup.v1.iter().try_for_each(v1::Dir::create)?;
        Ok(cgroup)
    }

    /// For clone3's CLONE_INTO_CGROUP, which knows v2 alone.
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        let pure_v1 = !self.v1.is_empty() && !self.has("cgroup.controllers");
        (!pure_v1).then(|| self.dir.as_fd())
    }

    /// Whether `create` found it, or a part of it.
    pub fn existed(&self) -> bool {
        self.existed
    }

    /// Its directories in hierarchies of v1. A process that was born in it has still to be moved to them.
    pub fn v1(&self) -> &[v1::Dir] {
        &self.v1
    }

    /// The directory's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the limits of `resources`. A limit whose controller is missing is an error, never silence.
    pub fn apply(&self, resources: &LinuxResources) -> Result<()> {
        if !self.v1.is_empty() {
            return v1::apply(&self.v1, resources);
        }
        for setting in limits::settings(resources, |file| self.read(file))? {
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

    /// Limits the devices to those that `resources` allows. For real root: nobody else may, and nobody else can make
    /// device nodes.
    pub fn apply_devices(&self, resources: Option<&LinuxResources>) -> Result<()> {
        if !v1::is_real_root() {
            return Ok(());
        }
        let asked = resources.and_then(|r| r.devices().as_deref()).unwrap_or_default();
        let rules = devices::rules(asked);
        if devices::allow_everything(&rules) {
            return Ok(());
        }
        if !self.v1.is_empty() {
            return v1::apply_devices(&self.v1, &rules);
        }
        let cannot = || "cannot limit the devices of the container";
        let program =
            bpf::load_device_program(&devices::program(&rules)).call(|| "bpf(PROG_LOAD)").what(cannot)?;
        bpf::attach_device_program(self.dir.as_fd(), &program).call(|| "bpf(PROG_ATTACH)").what(cannot)
    }

    /// Puts a process in.
    pub fn add(&self, pid: i32) -> Result<()> {
        self.add_here(pid)?;
        self.add_v1(pid)
    }

    /// Puts a process in, without the directories of v1.
    pub fn add_here(&self, pid: i32) -> Result<()> {
        Ok(self.write("cgroup.procs", &pid.to_string())?)
    }

    /// Puts a process that was born in it into the directories of v1.
    pub fn add_v1(&self, pid: i32) -> Result<()> {
        self.v1.iter().try_for_each(|dir| dir.add(pid))
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
            // It went when its last process did: systemd removes an empty scope.
            Err(e) if is_gone(&e) && !self.path.exists() => return Ok(()),
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
        self.read("cgroup.freeze").is_some_and(|text| text.trim() == "1") || v1::is_frozen(&self.v1)
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        if !self.v1.is_empty() && !self.has("cgroup.freeze") {
            return v1::set_frozen(&self.v1, frozen);
        }
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
            let removed = self.v1.iter().try_for_each(v1::Dir::remove);
            match removed
                .and_then(|()| remove_below(self.dir.as_fd()))
                .and_then(|()| rustix::fs::rmdir(&self.path))
            {
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

    /// Whether we may move processes into it.
    pub fn is_writable(&self) -> bool {
        let access = rustix::fs::Access::WRITE_OK;
        rustix::fs::accessat(&self.dir, "cgroup.procs", access, AtFlags::EACCESS).is_ok()
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

    /// Best effort: what cannot be enabled here shows when a limit needs it. None where it holds processes (EBUSY): cpu and pids
    /// alone would be allowed, and leave its children invalid, so that nobody could enter them.
    fn enable_controllers(&self) {
        let have = self.read("cgroup.controllers").unwrap_or_default();
        let enabled = self.read("cgroup.subtree_control").unwrap_or_default();
        let on = |name: &str| enabled.split_ascii_whitespace().any(|c| c == name);
        let off = |name: &&str| CONTROLLERS.contains(name) && !on(name);
        let words: Vec<String> =
            have.split_ascii_whitespace().filter(off).map(|name| format!("+{name}")).collect();
        if words.is_empty() {
            return;
        }
        match self.write("cgroup.subtree_control", &words.join(" ")) {
            Err(e) if e.raw_os_error() != libc::EBUSY => {
                for word in words {
                    let _ = self.write("cgroup.subtree_control", &word);
                }
            }
            _ => {}
        }
    }

    fn walk(&self, visit: &mut dyn FnMut(&Self)) {
        visit(self);
        for name in children(self.dir.as_fd()) {
            if let Ok(Some(child)) =
                Self::open_alone(&self.path.join(std::ffi::OsStr::from_bytes(name.as_bytes())))
            {
                child.walk(visit);
            }
        }
    }
}

fn is_gone(error: &crate::sys::Error) -> bool {
    matches!(error.raw_os_error(), libc::ENOENT | libc::ENODEV)
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
