//! Whether a registry takes a user's name and password, without pulling anything.
//!
//! It is asked for an image that nobody has: "no such image" is the answer to a user who is let in. One that says
//! "unauthorized" also to those (docker.io) hands out a token only for the right password.

use super::manifest::Failure;
use super::token::Pass;
use super::{AuthOptions, RegistriesConf, Session, Target, Whose, auth, conf, is_loopback};
use crate::error::{Error, Kind, Result};
use crate::paths::Dirs;
use oci_client::client::ClientProtocol;
use oci_client::secrets::RegistryAuth;
use std::path::PathBuf;

/// Asks the registry about the credentials of `options`.
pub fn check(dirs: &Dirs, domain: &str, options: &AuthOptions) -> Result<()> {
    // Only the first of a process counts; others say the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (user, password) =
        options.creds.clone().ok_or_else(|| Error::internal("a login without credentials"))?;
    let auth = RegistryAuth::Basic(user, password);
    let target =
        Target { domain: domain.to_owned(), path: "coracle/login".to_owned(), tag: None, digest: None };
    let conf = RegistriesConf::read(dirs, Whose::Users)?;
    let endpoint = conf
        .endpoints(domain, &target.path, options.tls_verify)?
        .pop()
        .ok_or_else(|| Error::internal("no endpoint to try"))?;
    let clear_allowed =
        endpoint.insecure || (is_loopback(&endpoint.host) && options.tls_verify != Some(true));
    let certificates = conf::certificates(dirs, &conf, &endpoint.host);
    let connect = |protocol| Session::connect(&certificates, &target, &endpoint, (protocol, &auth), domain);
    let https = connect(ClientProtocol::Https)?;
    let answer = match https.try_manifest(&https.reference) {
        Err(Failure::NoTls(_)) if clear_allowed => {
            let http = connect(ClientProtocol::Http)?;
            let answer = http.try_manifest(&http.reference);
            verdict(&http, answer)
        }
        answer => verdict(&https, answer),
    };
    answer.map_err(|e| match e.kind() {
        Kind::Denied => Error::new(Kind::Denied, format_args!("cannot log in to {domain}"))
            .cause(e.causes().last().cloned().unwrap_or_else(|| e.what().to_owned()))
            .hint("Check the user name and the password."),
        _ => e.wrap(format_args!("cannot log in to {domain}")),
    })
}

fn verdict(session: &Session, answer: std::result::Result<Vec<u8>, Failure>) -> Result<()> {
    let e = match answer {
        Ok(_) => return Ok(()),
        Err(e) => e.into_error(),
    };
    match e.kind() {
        Kind::NotFound => Ok(()),
        Kind::Denied => {
            let (host, repository) = (&session.endpoint.host, session.reference.repository());
            match session.runtime.block_on(session.manifests.authorize(
                &session.manifests.base(host),
                host,
                repository,
            )) {
                Ok(Pass::Bearer(_)) => Ok(()),
                Ok(_) | Err(_) => Err(e),
            }
        }
        _ => Err(e),
    }
}

/// The user that auth.json has for a registry.
pub fn user(dirs: &Dirs, domain: &str, options: &AuthOptions) -> Result<Option<String>> {
    let endpoint = RegistriesConf::default().endpoints(domain, "", None)?.pop();
    let Some(endpoint) = endpoint else { return Ok(None) };
    Ok(match auth::find(dirs, &endpoint, options)? {
        RegistryAuth::Basic(user, _) => Some(user),
        RegistryAuth::Anonymous | RegistryAuth::Bearer(_) => None,
    })
}

/// Where a login is written: the first place that is looked at.
pub fn file(dirs: &Dirs, options: &AuthOptions) -> Option<PathBuf> {
    auth::files(dirs, options).into_iter().next()
}
