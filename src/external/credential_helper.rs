//! docker-credential-NAME: keeps passwords outside of files. Named by the user's own config.json or auth.json.
//!
//! The server's name goes to its stdin, a JSON object comes from its stdout.

use super::command_at;
use crate::error::{Error, Kind, Result};
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

/// What a helper keeps for a server.
#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Kept {
    username: String,
    secret: String,
}

/// Name and secret for `server`; none when the helper has none, or is not installed.
pub fn get(helper: &str, server: &str) -> Result<Option<(String, String)>> {
    let file = file_name(helper)?;
    let Some(program) = locate(&file) else { return Ok(None) };
    let failed = |words: &str| {
        Error::new(Kind::External, "cannot get credentials").cause(format_args!("{file}: {words}"))
    };
    let mut command = command_at(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| failed(&e.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that answers without reading closes it.
        let _ = stdin.write_all(server.as_bytes());
    }
    let output = child.wait_with_output().map_err(|e| failed(&e.to_string()))?;
    // "credentials not found" is a failure like any other, said in words that differ.
    if !output.status.success() {
        return Ok(None);
    }
    let kept: Kept =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("its answer is no credentials"))?;
    Ok(Some((kept.username, kept.secret)))
}

/// A plain word: it becomes part of a program's name.
fn file_name(helper: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if helper.is_empty() || !helper.bytes().all(plain) {
        return Err(Error::usage(format_args!("{helper:?} is not the name of a credential helper")));
    }
    Ok(format!("docker-credential-{helper}"))
}

fn locate(file: &str) -> Option<PathBuf> {
    let dirs = crate::paths::search_path();
    dirs.iter()
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(file))
        .find(|file| super::is_executable(file))
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_helper_is_no_path() {
        assert_eq!(file_name("pass").unwrap(), "docker-credential-pass");
        for bad in ["", "../x", "a/b", "a b"] {
            assert!(file_name(bad).is_err(), "{bad}");
        }
    }
}
