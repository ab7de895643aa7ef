//! What this machine can do for the calling user, found by trying: `coracle doctor`.
//!
//! Every probe does the thing itself (makes the namespace, writes the map, mounts the overlay on this storage directory,
//! asks systemd) and reads settings only to say *why* it failed. The order is that of a start: a later probe needs what an
//! earlier one shows. Each takes below 100 ms, needs no privilege and leaves nothing behind.
//!
//! A failed probe has the cause as a fact with its value, one command that fixes it, and what works meanwhile. All such
//! texts live beside the probes, so that they do not drift.

mod calls;
mod cgroups;
pub mod child;
mod distro;
mod lsm;
mod machine;
mod net;
mod rootfs;
mod storage;
mod surroundings;
mod userns;

pub use calls::{answers_are_waited_for, can_answer_calls};
pub use distro::{Distribution, install_command};
pub use lsm::{apparmor_enabled, selinux_mode};
pub use storage::{Fitness, Space, filesystem_name, fitness, in_memory, space, unseen};

use crate::paths::Dirs;
use serde::Serialize;

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pass,
    /// Something works in a lesser way, or only matters to some.
    Warn,
    /// Something that most containers need does not work.
    Fail,
}

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// Stable, for scripts: `newuidmap`.
    pub name: &'static str,
    pub status: Status,
    /// What was found, with its value.
    pub fact: String,
    /// The command that fixes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The command needs root.
    pub fix_needs_root: bool,
    /// What coracle does until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<String>,
}

impl Probe {
    fn new(name: &'static str, status: Status, fact: impl Into<String>) -> Self {
        Self { name, status, fact: fact.into(), fix: None, fix_needs_root: false, meanwhile: None }
    }

    fn pass(name: &'static str, fact: impl Into<String>) -> Self {
        Self::new(name, Status::Pass, fact)
    }

    fn warn(name: &'static str, fact: impl Into<String>) -> Self {
        Self::new(name, Status::Warn, fact)
    }

    fn fail(name: &'static str, fact: impl Into<String>) -> Self {
        Self::new(name, Status::Fail, fact)
    }

    /// A command that the user can type.
    fn fix(mut self, command: impl Into<String>) -> Self {
        self.fix = Some(command.into());
        self
    }

    /// A command for the administrator.
    fn fix_as_root(mut self, command: impl Into<String>) -> Self {
        self.fix_needs_root = true;
        self.fix(command)
    }

    fn meanwhile(mut self, text: impl Into<String>) -> Self {
        self.meanwhile = Some(text.into());
        self
    }
}

/// What the probes showed, for the verdict and for `info`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Abilities {
    /// A user namespace can be made and used.
    pub containers: bool,
    /// Ids in the store's namespace; 1 = single-uid mode.
    pub ids: u32,
    /// Rootfs drivers that mounted.
    pub drivers: Vec<&'static str>,
    /// Controllers that a container's limits can use.
    pub controllers: Vec<String>,
    /// Network modes beside `none` and `host`.
    pub networks: Vec<&'static str>,
    /// The lowest port that can be published.
    pub first_port: u16,
    /// GPU device nodes that the user can open.
    pub gpu: bool,
}

/// All probes, in the order of a start.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub probes: Vec<Probe>,
    pub abilities: Abilities,
}

/// Tries everything.
pub fn probes(dirs: &Dirs) -> Report {
    let mut report = Report { probes: Vec::new(), abilities: Abilities::default() };
    machine::probe(&mut report);
    let child = userns::probe(&mut report);
    storage::probe(dirs, &mut report);
    rootfs::probe(dirs, child.as_ref(), &mut report);
    cgroups::probe(&mut report);
    net::probe(child.as_ref(), &mut report);
    lsm::probe(&mut report);
    surroundings::probe(dirs, &mut report);
    report
}

/// A number of /proc/sys. None: this kernel has no such setting.
fn sysctl(name: &str) -> Option<u64> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::read_to_string(path).ok()?.split_whitespace().next()?.parse().ok()
}
