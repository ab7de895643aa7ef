//! The command line of coracle.
