//! The OCI runtime core behind coracle-oci.

pub mod args;
pub mod child;
pub mod console;
pub mod create;
pub mod delete;
pub mod exec;
pub mod foreground;
pub mod handshake;
pub mod home;
pub mod hooks;
pub mod kill;
pub mod limits;
pub mod maps;
pub mod plan;
pub mod reaper;
pub mod run;
pub mod selfexe;
pub mod sources;
pub mod spawn;
pub mod start;
pub mod state;
pub mod step;
pub mod words;

pub use args::{Context, CreateArgs, ExecArgs, ExecCommand, ExecWhat, RunArgs};

/// The specification that is implemented.
pub const OCI_VERSION: &str = "1.2.0";
