//! The command line of coracle.

pub mod format;
pub mod parse;
pub mod suggest;
pub mod table;
pub mod ui;
