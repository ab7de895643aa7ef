//! Seccomp profile to BPF, pure.
