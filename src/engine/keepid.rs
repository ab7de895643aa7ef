//! `--userns keep-id`: the user has a name inside. Where the image's passwd knows nobody of that uid, a line is put into it
//! before the start, as podman does; else shells say "I have no name!", and ssh and git refuse to work.
//!
//! Home is the user's own where it is mounted, else the working directory. What the image says of the uid, the gid and the
//! name stays.

use super::options::{CreateOptions, UsernsMode};
use super::source::Prepared;
use super::users::{self, User};
use crate::ondisk;
use crate::ondisk::seed::{Entry, NAME, Seed};
use crate::paths::Dirs;
use crate::userns::{IdMaps, IdRange, idmap, subid};
use std::path::PathBuf;

/// What is to be put into the container's files, if anything; `user`, when it is the user, gets the home.
pub fn seed(
    dirs: &Dirs,
    options: &CreateOptions,
    source: &Prepared,
    maps: &IdMaps,
    user: &mut User,
) -> Option<Seed> {
    let UsernsMode::KeepId { uid, gid } = options.namespaces.userns else { return None };
    if !source.has_layers() || options.extra.records.iter().any(|(name, _)| *name == NAME) {
        return None;
    }
    let caller = rustix::process::getuid().as_raw();
    let uid = uid.unwrap_or(caller);
    let gid = gid.unwrap_or_else(|| rustix::process::getgid().as_raw());
    let known = |who: &str| users::resolve(&source.view, who, &[]).is_ok_and(|user| user.name.is_some());
    if known(&uid.to_string()) {
        return None;
    }
    let name = subid::user_name(caller).filter(|name| !known(name)).unwrap_or_else(|| format!("user{uid}"));
    let home = home(dirs, options, source);
    if user.uid == uid {
        user.home.clone_from(&home);
        user.name = Some(name.clone());
    }
    let mut entries = Vec::new();
    if !users::has_group(&source.view, gid, &name) {
        entries.push(Entry::Group { name: name.clone(), gid });
    }
    entries.push(Entry::User { name, uid, gid, gecos: String::new(), home, shells: vec!["/bin/sh".into()] });
    let root = |map: &[IdRange]| idmap::to_outside(map, 0).unwrap_or(0);
    Some(Seed { version: ondisk::VERSION, root: (root(&maps.uids), root(&maps.gids)), entries })
}

fn home(dirs: &Dirs, options: &CreateOptions, source: &Prepared) -> String {
    let mounted = |home: &&PathBuf| options.mounts.iter().any(|m| home.starts_with(&m.destination));
    let own = dirs.home.as_ref().filter(mounted).map(|home| home.to_string_lossy().into_owned());
    let workdir = options.process.workdir.clone().or_else(|| source.image.workdir.clone());
    // A line of passwd has no escapes.
    let good = |path: &String| path.starts_with('/') && !path.contains([':', '\n']);
    own.or(workdir).filter(good).unwrap_or_else(|| "/".to_owned())
}
