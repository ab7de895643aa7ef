//! What every test stands on: an environment of its own, the programs under test, prerequisites, leftovers.
//!
//! Environment variables, all optional (`tests/run` sets them): CORACLE_TEST_BIN (where the programs are),
//! CORACLE_TEST_TMP (where storages go), CORACLE_TEST_USER (whom a root test run becomes), CORACLE_TEST_REQUIRE (which
//! missing prerequisites are failures), CORACLE_TEST_RUNTIME (whom `oci_*` test: coracle-oci, crun or runc).

#![allow(dead_code, reason = "helpers for every module of tests, some of which are still to come")]

pub mod apt;
mod bundle;
mod canary;
mod cmd;
mod env;
pub mod leftovers;
pub mod managers;
pub mod need;
pub mod registry;
mod terminal;
pub mod user;
mod world;

#[allow(unused_imports, reason = "not every module of tests uses every helper")]
pub use self::{
    bundle::{Bundle, Ctr},
    canary::Canary,
    cmd::{Cmd, Output, Running},
    env::Env,
    terminal::Terminal,
    world::{World, wait_for},
};
pub use crate::need;
