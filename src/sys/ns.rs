//! System calls: setns, unshare, namespace fds.
