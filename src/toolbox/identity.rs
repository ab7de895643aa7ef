//! Who the user is on the host: passwd and group entries, from the files, else from NSS by `getent`.

use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::userns::subid::GETENT;

/// The user, as boxes show them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// Name of the primary group.
    pub group: String,
    pub gecos: String,
    /// Absolute.
    pub home: String,
    /// Absolute.
    pub shell: String,
}

/// The caller.
pub fn caller(dirs: &Dirs) -> Result<Identity> {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    if uid == 0 {
        return Err(Error::usage("root has no boxes")
            .cause("a box is a user's own home and desktop in a container")
            .hint("Run `coracle toolbox` as the user who will work in it, or use `coracle run`."));
    }
    let entry = entry("passwd", uid);
    let field = |at: usize| entry.as_deref().and_then(|e| e.split(':').nth(at)).unwrap_or("").to_owned();
    let name = Some(field(0)).filter(|name| !name.is_empty()).unwrap_or_else(|| format!("user{uid}"));
    let absolute = |text: String| Some(text).filter(|t| t.starts_with('/') && !t.contains([':', '\n']));
    let from_env = |name| crate::paths::env(name).and_then(|v| v.into_string().ok()).and_then(absolute);
    let group = self::entry("group", gid).and_then(|e| e.split(':').next().map(str::to_owned));
    let home = dirs.home.as_ref().and_then(|h| h.to_str().map(str::to_owned));
    Ok(Identity {
        group: group.unwrap_or_else(|| name.clone()),
        uid,
        gid,
        gecos: field(4),
        home: home.and_then(absolute).or_else(|| absolute(field(5))).unwrap_or_else(|| "/".to_owned()),
        shell: from_env("SHELL").or_else(|| absolute(field(6))).unwrap_or_else(|| "/bin/sh".to_owned()),
        name,
    })
}

/// The line of this id.
fn entry(database: &str, id: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/etc/{database}")).unwrap_or_default();
    if let Some(line) = line_of(&text, id) {
        return Some(line);
    }
    GETENT.locate()?;
    let output = GETENT.run([database.into(), id.to_string().into()]).ok()?;
    line_of(&String::from_utf8_lossy(&output.stdout), id)
}

fn line_of(text: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    text.lines().find(|line| line.split(':').nth(2) == Some(&id)).map(str::to_owned)
}
