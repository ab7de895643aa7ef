//! System calls: the fd-based mount calls.
