//! Configuration files of the containers tools as plain structs; parsing apart from reading.

pub mod containers;
