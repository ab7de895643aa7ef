//! Logging in and out: credentials in auth.json, as podman and docker write them.
//!
//! `{"auths": {"quay.io": {"auth": "<base64 of user:password>"}}}`; whatever else stands in the file stays.

use crate::error::{Context, Error, Result};
use crate::ondisk::{Durability, atomic::publish_bytes};
use crate::paths::Dirs;
use crate::registry::{AuthOptions, login};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};
use std::os::fd::AsFd;
use std::path::Path;

/// Checks the credentials of `options` with the registry, then stores them.
pub fn log_in(dirs: &Dirs, domain: &str, options: &AuthOptions) -> Result<()> {
    login::check(dirs, domain, options)?;
    let (user, password) =
        options.creds.as_ref().ok_or_else(|| Error::internal("a login without credentials"))?;
    let auth = base64(format!("{user}:{password}").as_bytes());
    change(dirs, options, |auths| {
        auths.insert(domain.to_owned(), json!({ "auth": auth }));
        Ok(())
    })
}

/// Forgets the credentials for `domain`, or (none) all of them.
pub fn log_out(dirs: &Dirs, domain: Option<&str>, options: &AuthOptions) -> Result<()> {
    change(dirs, options, |auths| match domain {
        None => {
            auths.clear();
            Ok(())
        }
        Some(domain) => match auths.remove(domain) {
            Some(_) => Ok(()),
            None => Err(Error::not_found(format_args!("not logged into {domain}"))
                .hint("The name must be the one of the login; `coracle logout --all` forgets all.")),
        },
    })
}

type Auths = serde_json::Map<String, Value>;

fn change(dirs: &Dirs, options: &AuthOptions, act: impl FnOnce(&mut Auths) -> Result<()>) -> Result<()> {
    let path = login::file(dirs, options).ok_or_else(|| Error::internal("no place for auth.json"))?;
    let what = || format!("cannot change {}", path.display());
    let mut document = read(&path).what(what)?;
    let auths = document
        .as_object_mut()
        .map(|all| all.entry("auths").or_insert_with(|| json!({})))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| Error::corrupt(what()).cause("`auths` in it is no JSON object"))?;
    act(auths)?;
    let (Some(parent), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Error::usage(what()));
    };
    make_private(parent).what(what)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let dir =
        rustix::fs::open(parent, flags, Mode::empty()).call(|| format!("open({parent:?})")).what(what)?;
    let mut text =
        serde_json::to_vec_pretty(&document).map_err(|e| Error::internal(format_args!("auth.json: {e}")))?;
    text.push(b'\n');
    publish_bytes(dir.as_fd(), name, &text, Durability::Durable).what(what)
}

fn read(path: &Path) -> Result<Value> {
    match std::fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| Error::corrupt("it is no JSON").cause(e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(json!({})),
        Err(e) => Ok(Err(e).call(|| format!("read({path:?})"))?),
    }
}

fn make_private(dir: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if dir.as_os_str().is_empty() {
        return Ok(());
    }
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    Ok(made.call(|| format!("mkdir({dir:?}, 0700)"))?)
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |n: u32| char::from(DIGITS.get((n & 63) as usize).copied().unwrap_or(b'='));
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let at = |n: usize| u32::from(chunk.get(n).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        text.extend([digit(bits >> 18), digit(bits >> 12)]);
        text.push(if chunk.len() > 1 { digit(bits >> 6) } else { '=' });
        text.push(if chunk.len() > 2 { digit(bits) } else { '=' });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded() {
        for (text, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("user:pässword", "dXNlcjpww6Rzc3dvcmQ="),
        ] {
            assert_eq!(base64(text.as_bytes()), want);
        }
    }
}
