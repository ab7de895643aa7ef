//! Puts store, network, monitor and runtime together (podman's libpod): options → records and config.json, lifecycle,
//! recovery. The layer that the command line calls; it prints nothing.
//!
//! `decide` refuses what can be refused before a file exists; `create` publishes. `start` hands over to the monitor. Everything
//! that reads a container's state goes through `lookup`, which recovers it first.

pub mod alone;
pub mod blockio;
pub mod bundle;
pub mod cdi;
pub mod copy;
pub mod cp;
pub mod create;
mod decide;
pub mod doctor;
pub mod exec;
pub mod export;
pub mod fanout;
mod files;
mod filter;
mod idchoice;
pub mod image;
mod imagevolumes;
pub mod info;
pub mod inspect;
mod keepid;
pub mod kill;
pub mod launcher;
pub mod limit;
pub mod login;
pub mod logs;
pub mod lookup;
mod mounts;
mod mpi;
pub mod names;
mod netchoice;
mod notice;
pub mod options;
pub mod peek;
pub mod place;
pub mod programs;
pub mod prune;
pub mod ps;
pub mod ranks;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod settings;
pub mod signals;
pub mod site;
pub mod slurm;
pub mod source;
pub mod specgen;
pub mod squash;
pub mod start;
pub mod stop;
pub mod system_check;
pub mod top;
pub mod update;
pub mod users;
pub mod view;
pub mod volume;
pub mod wait;

pub use create::{Created, create};
pub use lookup::{find, list};
pub use source::image_file;
pub use start::{run, start};

use std::ffi::OsString;
use std::process::ExitCode;

/// Hidden role processes that are neither the monitor nor its guard.
pub fn role_main(name: &str, args: Vec<OsString>) -> ExitCode {
    match name {
        "probe-driver" => crate::store::probe_role_main(args),
        crate::host::child::ROLE => crate::host::child::role_main(args),
        crate::store::squash::HOLDER_ROLE => crate::store::squash::holder_main(args),
        "remove" => crate::monitor::remove::role_main(args),
        _ => ExitCode::from(125),
    }
}

/// Now, RFC 3339 with nanoseconds, UTC.
pub fn now() -> String {
    format!("{:.9}", jiff::Timestamp::now())
}

/// The host's machine id; empty where there is none.
pub fn machine_id() -> String {
    std::fs::read_to_string("/etc/machine-id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
