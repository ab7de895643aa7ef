//! Credentials: from the command line, from auth.json, from docker's config.json and the helpers they name.
//!
//! Keys of auth.json may be a registry or a path below it: the most exact one wins. They are looked up by the host that is
//! asked, so a mirror gets its own and nobody else's.

use super::conf::{self, Endpoint};
use crate::error::{Error, Kind, Result};
use crate::external::credential_helper;
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
        let unusable = || Error::usage(format_args!("cannot use the authentication file {}", file.display()));
        let (document, helpers) = without_helpers(&bytes).map_err(|e| unusable().cause(e))?;
        let token = || {
            Error::new(Kind::Denied, format_args!("cannot log in to {domain}"))
                .cause(format_args!("{} holds an identity token, which is not supported", file.display()))
                .hint(format_args!("Log in with a user name and a password: `coracle login {domain}`."))
        };
        for key in &keys {
            let found = match helpers.of_key(key) {
                Some(helper) => credential_helper::get(helper, key)?,
                None => match docker_credential::get_credential_from_reader(document.as_slice(), key) {
                    Ok(DockerCredential::UsernamePassword(user, password)) => Some((user, password)),
                    Ok(DockerCredential::IdentityToken(_)) => return Err(token()),
                    Err(CredentialRetrievalError::NoCredentialConfigured) => {
                        helpers.of_all().map_or(Ok(None), |helper| credential_helper::get(helper, key))?
                    }
                    Err(e) => return Err(unusable().cause(e)),
                },
            };
            match found {
                // How a helper says that the secret is an identity token.
                Some((user, _)) if user == "<token>" => return Err(token()),
                Some((user, password)) => return Ok(RegistryAuth::Basic(user, password)),
                // A helper without an entry for this server: the next place may have one.
                None => {}
            }
        }
    }
    Ok(RegistryAuth::Anonymous)
}

/// The helper programs that a file names. They are started by `external`, so the file is read without them.
#[derive(Debug)]
struct Helpers {
    cred_helpers: std::collections::BTreeMap<String, String>,
    creds_store: Option<String>,
}

impl Helpers {
    fn of_key(&self, key: &str) -> Option<&str> {
        self.cred_helpers.get(key).map(String::as_str).filter(|helper| !helper.is_empty())
    }

    fn of_all(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|helper| !helper.is_empty())
    }
}

fn without_helpers(bytes: &[u8]) -> serde_json::Result<(Vec<u8>, Helpers)> {
    let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(bytes)?;
    let mut take = |name: &str| document.remove(name).unwrap_or_default();
    let (one, all) = (take("credHelpers"), take("credsStore"));
    let helpers = Helpers {
        cred_helpers: serde_json::from_value::<Option<_>>(one)?.unwrap_or_default(),
        creds_store: serde_json::from_value(all)?,
    };
    Ok((serde_json::to_vec(&document)?, helpers))
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
