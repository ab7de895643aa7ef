//! What stands for the host in attacks on it: whatever happens inside, its listing stays the same.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::env::Env;

/// Host files that no container was given.
#[derive(Debug)]
pub struct Canary {
    pub dir: PathBuf,
    before: Vec<String>,
}

impl Canary {
    pub fn new(env: &Env) -> Self {
        let dir = env.dir.join("canary");
        std::fs::create_dir_all(dir.join("deep")).unwrap();
        std::fs::write(dir.join("file"), "canary\n").unwrap();
        let before = listing(&dir);
        Self { dir, before }
    }

    /// Fails when anything of it has changed.
    #[track_caller]
    pub fn check(&self, what: &str) {
        assert_eq!(listing(&self.dir), self.before, "{what} reached the host");
    }
}

fn listing(dir: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![dir.to_path_buf()];
    while let Some(path) = pending.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = std::fs::read_to_string(&path).unwrap_or_default();
        lines.push(format!("{} {:o} {}:{} {content}", path.display(), meta.mode(), meta.uid(), meta.gid()));
        if meta.is_dir() {
            pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}
