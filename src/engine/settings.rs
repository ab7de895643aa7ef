//! Writing the user's config.toml (`config::user`), and what to say about a new place for the store.

use crate::config::storage;
use crate::config::user::{self, User};
use crate::error::{Context, Result};
use crate::host::{self, Fitness};
use crate::ondisk::Durability;
use crate::ondisk::atomic::publish_bytes;
use crate::paths::Dirs;
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd;
use std::path::Path;

/// Writes the file, whole or not at all.
pub fn write(dirs: &Dirs, user: &User) -> Result<()> {
    let file = user::file(dirs);
    let what = || format!("cannot write {}", file.display());
    let parent = file.parent().unwrap_or(&dirs.config);
    std::fs::create_dir_all(parent).call(|| format!("mkdir({parent:?})")).what(what)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir =
        rustix::fs::open(parent, flags, Mode::empty()).call(|| format!("open({parent:?})")).what(what)?;
    publish_bytes(dir.as_fd(), "config.toml", user.to_text().as_bytes(), Durability::Durable).what(what)
}

/// What the user should know about `root` as the store.
pub fn notes(dirs: &Dirs, root: &Path) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if let Fitness::Unfit(why) = host::fitness(root) {
        notes.push(format!("{} {why}: images and containers may not work there", root.display()));
    }
    let conf = storage::read(dirs)?.root.map(|root| root.join("coracle"));
    let now = User::read(dirs)?.root().or(conf).unwrap_or_else(|| dirs.data.clone());
    if now != root && ["images", "containers"].iter().any(|name| now.join(name).exists()) {
        notes.push(format!("what is in {0} stays there; see it with `coracle --root {0}`", now.display()));
    }
    Ok(notes)
}
