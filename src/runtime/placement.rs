//! Which cgroup an exec's process joins: the container's, or what `--cgroup` names below it.
//!
//! A container that moved its processes deeper (an init system) leaves its own cgroup closed for processes: then the
//! process goes where the first process is, unless `--cgroup` said something else.

use crate::cgroup::delegate;
use crate::cgroup::fs::Cgroup;
use crate::cgroup::v1;
use crate::error::{Error, Result};
use crate::ondisk::runtime_state::RuntimeState;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// Where the process goes.
#[derive(Debug)]
pub struct Placement {
    /// None: the container has no cgroup.
    cgroup: Option<Cgroup>,
    /// Directories of v1.
    v1: Vec<v1::Dir>,
    /// What was named and is not there.
    missing: Option<PathBuf>,
    explicit: bool,
    init: i32,
}

impl Placement {
    /// Decides. `asked` are the values of `--cgroup`: PATH, or CONTROLLER[,CONTROLLER]:PATH.
    pub fn of(record: &RuntimeState, asked: &[String]) -> Result<Self> {
        let Some(base) = &record.cgroup else {
            return Ok(Self {
                cgroup: None,
                v1: Vec::new(),
                missing: None,
                explicit: false,
                init: record.pid,
            });
        };
        let own = Cgroup::open(Path::new(base))?;
        let mut v1 = own.as_ref().map_or_else(Vec::new, |cgroup| cgroup.v1().to_vec());
        let mut below = None;
        for text in asked {
            let (controllers, path) =
                text.split_once(':').map_or((None, text.as_str()), |(c, p)| (Some(c), p));
            if path.split('/').any(|part| part == "..") {
                return Err(Error::usage("invalid --cgroup")
                    .cause(format_args!("bad sub cgroup path: {path} is not a sub cgroup path")));
            }
            for name in controllers.into_iter().flat_map(|all| all.split(',')) {
                if !v1.iter().any(|dir| dir.has(name)) {
                    return Err(Error::usage(format_args!("invalid --cgroup {text:?}"))
                        .cause(format_args!("unknown controller {name}")));
                }
            }
            let meant =
                |dir: &v1::Dir| controllers.is_none_or(|all| all.split(',').any(|name| dir.has(name)));
            v1.iter_mut().filter(|dir| meant(dir)).for_each(|dir| *dir = dir.below(path));
            if controllers.is_none() {
                below = Some(path);
            }
        }
        let mut place =
            Self { cgroup: own, v1, missing: None, explicit: !asked.is_empty(), init: record.pid };
        if let Some(below) = below {
            let path = Path::new(base).join(below.trim_start_matches('/'));
            place.cgroup = Cgroup::open(&path)?;
            place.missing = place.cgroup.is_none().then_some(path);
        }
        Ok(place)
    }

    /// Where the process can be born.
    pub fn birthplace(&self) -> Option<BorrowedFd<'_>> {
        self.cgroup.as_ref().and_then(Cgroup::birthplace)
    }

    /// Whether it is still to be moved after its birth.
    pub fn is_to_move(&self) -> bool {
        !self.v1.is_empty() || self.missing.is_some()
    }

    /// Moves the process. A place that was asked for is an error where it cannot be joined; the container's own is left
    /// out where that is not possible (a read-only tree), as it was for its first process.
    pub fn enter(&self, pid: i32, born: bool) -> Result<()> {
        if let Some(path) = &self.missing {
            return Err(cannot(pid, path, libc::ENOENT));
        }
        if let Some(cgroup) = self.cgroup.as_ref().filter(|_| !born)
            && let Err(e) = cgroup.add_here(pid)
        {
            if self.explicit {
                return Err(cannot(pid, cgroup.path(), e.errno().unwrap_or(libc::EIO)));
            }
            let _ = self.beside_init().map(|cgroup| cgroup.add_here(pid));
        }
        for dir in &self.v1 {
            if let Err(e) = dir.add(pid)
                && self.explicit
            {
                return Err(cannot(pid, &dir.path, e.errno().unwrap_or(libc::EIO)));
            }
        }
        Ok(())
    }

    fn beside_init(&self) -> Option<Cgroup> {
        let path = delegate::dir_of(delegate::tree()?, &delegate::path_of(self.init)?)?;
        Cgroup::open(&path).ok().flatten()
    }
}

fn cannot(pid: i32, path: &Path, errno: i32) -> Error {
    Error::host("cannot start the process in its cgroup").cause(format_args!(
        "adding pid {pid} to cgroups failed: {}/cgroup.procs: {}",
        path.display(),
        nix::errno::Errno::from_raw(errno).desc().to_lowercase()
    ))
}
