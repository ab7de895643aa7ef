//! System calls: socket pairs, SCM_RIGHTS.
