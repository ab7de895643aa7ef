//! The one test binary: every file of this folder is a module here, and `tidy` fails when one is forgotten.
//!
//! Tests start the built programs as an unprivileged user, on the real kernel; nothing here forks, clones or unshares.
//! `support` holds the isolated environment, prerequisites ([`need!`]) and OCI bundles.

#![allow(
    clippy::disallowed_methods,
    reason = "the bans are the product's architecture; tests start programs and write files"
)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::type_complexity,
    reason = "a failed assumption is a failed test; skips are loud"
)]

mod support;

mod alone;
mod archives;
mod bad_input;
mod boxhost;
mod bundle;
mod cdi;
mod cp;
mod devshell;
mod doctor;
mod errors;
mod exec;
mod fanout;
mod generated;
mod help;
mod hostile_archive;
mod hostile_box;
mod hostile_image;
mod hostile_registry;
mod hostile_squash;
mod hpc;
mod images;
mod integrations;
mod modules;
mod network;
mod oci_activation;
mod oci_escape;
mod oci_fields;
mod oci_hostile;
mod oci_kernel;
mod oci_lifecycle;
mod oci_mounts;
mod oci_mutated;
mod oci_netdev;
mod oci_process;
mod oci_seccomp;
mod oci_security;
mod oci_weakened;
mod owners;
mod probe;
mod ranks;
mod resilience;
mod resilience_races;
mod run_detached;
mod run_host;
mod run_image;
mod run_limits;
mod settings;
mod single_uid;
mod site;
mod squash;
mod squash_tables;
mod storage;
mod stores;
mod terminal;
mod tidy;
mod toolbox;
mod toolbox_assemble;
mod toolbox_damage;
mod toolbox_home;
mod toolbox_init;
mod toolbox_managers;
mod toolbox_rebase;
mod toolbox_up;
mod volume;
