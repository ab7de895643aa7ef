//! System calls: installing a finished BPF program, the notify fd.
