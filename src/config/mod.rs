//! Configuration files of the containers tools as plain structs; parsing apart from reading.

pub mod containers;
pub mod modules;
pub mod pattern;
pub mod site;
pub mod size;
pub mod storage;
pub mod user;
pub mod variables;
