//! System calls: clone3, pidfds, prctl, close_range.
