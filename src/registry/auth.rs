//! Credentials: from the command line, from auth.json, from docker's config.json and the helpers they name.
//!
//! Keys of auth.json may be a registry or a path below it: the most exact one wins. They are looked up by the host that is
//! asked, so a mirror gets its own and nobody else's.

use super::conf::{self, Endpoint};
use crate::error::{Error, Kind, Result};
use crate::paths::{self, Dirs};
use docker_credential::{CredentialRetrievalError, DockerCredential};
use oci_client::secrets::RegistryAuth;
use std::path::PathBuf;

/// How to log in, and how much to trust.
#[derive(Clone, Default)]
pub struct AuthOptions {
    /// `--authfile`.
    pub authfile: Option<PathBuf>,
    /// `--creds user:password`.
    pub creds: Option<(String, String)>,
    /// `--tls-verify`; none: as registries.conf says.
    pub tls_verify: Option<bool>,
}

impl std::fmt::Debug for AuthOptions {
    /// Never the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AuthOptions")
            .field("authfile", &self.authfile)
            .field("tls_verify", &self.tls_verify)
            .finish_non_exhaustive()
    }
}

/// The credentials for a repository; anonymous where there are none.
pub(super) fn find(dirs: &Dirs, endpoint: &Endpoint, options: &AuthOptions) -> Result<RegistryAuth> {
    // What the user typed is for the registry that the user named.
    if let Some((user, password)) = options.creds.as_ref().filter(|_| !endpoint.mirror) {
        return Ok(RegistryAuth::Basic(user.clone(), password.clone()));
    }
    let domain = if endpoint.host == conf::DOCKER_HOST { "docker.io" } else { &endpoint.host };
    let keys = keys(domain, &endpoint.path);
    for file in files(dirs, options) {
        let Ok(bytes) = std::fs::read(&file) else {
            if named_file(options).is_some() {
                return Err(Error::usage(format_args!(
                    "cannot read the authentication file {}",
                    file.display()
                )));
            }
            continue;
        };
        for key in &keys {
            match docker_credential::get_credential_from_reader(bytes.as_slice(), key) {
                Ok(DockerCredential::UsernamePassword(user, password)) => {
                    return Ok(RegistryAuth::Basic(user, password));
                }
                Ok(DockerCredential::IdentityToken(_)) => {
                    return Err(Error::new(Kind::Denied, format_args!("cannot log in to {domain}"))
                        .cause(format_args!(
                            "{} holds an identity token, which is not supported",
                            file.display()
                        ))
                        .hint(format_args!(
                            "Log in with a user name and a password: `coracle login {domain}`."
                        )));
                }
                Err(CredentialRetrievalError::NoCredentialConfigured) => {}
                // A helper without an entry for this server fails in its own way; the next place may have one.
                Err(
                    CredentialRetrievalError::HelperFailure { .. }
                    | CredentialRetrievalError::HelperCommunicationError,
                ) => {}
                Err(e) => {
                    return Err(Error::usage(format_args!(
                        "cannot use the authentication file {}",
                        file.display()
                    ))
                    .cause(e));
                }
            }
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// Where credentials are looked for, in this order.
pub(super) fn files(dirs: &Dirs, options: &AuthOptions) -> Vec<PathBuf> {
    if let Some(file) = named_file(options) {
        return vec![file];
    }
    let mut files = Vec::new();
    // Beside our runtime directory: podman's place, where login writes. Not where anybody could put a file (and name a
    // helper program in it): a runtime directory of our own stands in /tmp.
    let run = dirs.run.parent().filter(|run| is_private(run));
    files.extend(run.map(|run| run.join("containers/auth.json")));
    files.push(dirs.config.join("containers/auth.json"));
    let docker = paths::env("DOCKER_CONFIG").map(PathBuf::from);
    let docker = docker.or_else(|| dirs.home.as_ref().map(|home| home.join(".docker")));
    files.extend(docker.map(|docker| docker.join("config.json")));
    files
}

/// The one file that the user named: `--authfile`, else `$REGISTRY_AUTH_FILE`.
fn named_file(options: &AuthOptions) -> Option<PathBuf> {
    options.authfile.clone().or_else(|| paths::env("REGISTRY_AUTH_FILE").map(PathBuf::from))
}

/// A directory of ours (or root's) that nobody else can write.
fn is_private(dir: &std::path::Path) -> bool {
    let me = rustix::process::geteuid().as_raw();
    rustix::fs::stat(dir).is_ok_and(|st| (st.st_uid == me || st.st_uid == 0) && st.st_mode & 0o022 == 0)
}

/// `q.io/a/b`, `q.io/a`, `q.io`; docker.io under its old name too.
fn keys(domain: &str, path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut key = format!("{domain}/{path}");
    while let Some((shorter, _)) = key.rsplit_once('/') {
        let shorter = shorter.to_owned();
        keys.push(std::mem::replace(&mut key, shorter));
    }
    keys.push(key);
    if domain == "docker.io" {
        keys.extend(["https://index.docker.io/v1/".to_owned(), "index.docker.io".to_owned()]);
    } else {
        keys.push(format!("https://{domain}"));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_exact_key_is_asked_first() {
        assert_eq!(keys("q.io", "a/b"), ["q.io/a/b", "q.io/a", "q.io", "https://q.io"]);
        assert!(keys("docker.io", "library/x").contains(&"https://index.docker.io/v1/".to_owned()));
    }
}
