//! `coracle system …`.

pub mod check;
pub mod df;
pub mod migrate;
pub mod prune;
pub mod share;
