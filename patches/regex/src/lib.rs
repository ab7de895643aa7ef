//! `regex` as regex-lite has it: `\w`, `\d` and `\s` are ASCII, as in Go's expressions, which podman's users write.

pub use regex_lite::*;
