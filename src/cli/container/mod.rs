//! `coracle container …`: what has no top-level name.

pub mod exists;
pub mod inspect;
pub mod prune;
