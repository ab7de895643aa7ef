//! System calls: user and group ids, capabilities.
