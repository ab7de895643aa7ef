//! System calls: openat2 below a root, device nodes, xattrs.
