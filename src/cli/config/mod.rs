//! `coracle config …`: what the user has said once for all commands (`config::user`).

pub mod get;
pub mod set;
pub mod unset;

use crate::config::user::KEYS;
use crate::error::{Error, Result};

/// Refuses a key that there is not.
fn known(key: &str) -> Result<()> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    Err(Error::usage(format_args!("unknown key {key:?}"))
        .hint(format_args!("The keys are {}.", KEYS.join(" and "))))
}
