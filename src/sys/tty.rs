//! System calls: pty pairs, window size, raw mode.
