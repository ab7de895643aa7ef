//! `coracle system …`.

pub mod check;
pub mod df;
pub mod prune;
