//! A test run started by root becomes the user CORACLE_TEST_USER, once and for good, before its first container.
//!
//! In-process rather than by a wrapper for each program, so that every file a test makes is the user's too.

use std::sync::OnceLock;

use nix::unistd::{Gid, Uid, User, setgid, setgroups, setuid};

/// `Err`: why containers cannot be run as an ordinary user here.
pub fn become_user() -> &'static Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(|| {
        if !Uid::effective().is_root() {
            return Ok(());
        }
        let name = std::env::var("CORACLE_TEST_USER").map_err(|_| {
            "the tests run as root: name an ordinary user in CORACLE_TEST_USER, or use tests/run".to_owned()
        })?;
        let user = User::from_name(&name).ok().flatten().ok_or_else(|| format!("no user {name}"))?;
        if user.uid.is_root() {
            return Err("CORACLE_TEST_USER is root".to_owned());
        }
        // libc changes the ids of every thread.
        setgroups(&[])
            .and_then(|()| setgid(user.gid))
            .and_then(|()| setuid(user.uid))
            .map_err(|e| e.to_string())
    })
}

/// The user's login name, for /etc/subuid.
pub fn name() -> String {
    User::from_uid(Uid::effective())
        .ok()
        .flatten()
        .map_or_else(|| Uid::effective().to_string(), |user| user.name)
}

pub fn ids() -> (u32, u32) {
    (Uid::effective().as_raw(), Gid::effective().as_raw())
}
