//! Asking for manifests, carefully: of bounded size, and with credentials only for whom they are meant.
//!
//! The client of `oci_client` reads a manifest of any size into memory, and sends credentials to whatever token service a
//! registry names. So manifests are asked for here, with the token that it got, and the token service is looked at first:
//! it must speak TLS where the registry does, and be the registry's own or of the same domain.

use super::failure;
use crate::error::{Error, Kind, Result};
use crate::spec::image::MAX_MANIFEST;
use oci_client::errors::{OciDistributionError, OciEnvelope};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference, RegistryOperation};
use reqwest::header::{ACCEPT, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};

/// What manifests we read.
const TYPES: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.docker.distribution.manifest.v2+json";
/// Longest answer that is no manifest: an error.
const MAX_WORDS: u64 = 64 << 10;

/// Why there is no manifest.
pub(super) enum Failure {
    /// The other side speaks no TLS.
    NoTls(Error),
    Other(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::NoTls(e) | Self::Other(e) => e,
        }
    }
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Other(e)
    }
}

/// One registry to ask.
#[derive(Debug)]
pub(super) struct Manifests {
    pub(super) http: reqwest::Client,
    /// `https` or `http`.
    pub(super) scheme: &'static str,
    /// What is pulled, for messages.
    pub(super) name: String,
}

impl Manifests {
    /// The bytes of the manifest that `reference` names.
    pub(super) async fn get(
        &self,
        client: &Client,
        reference: &Reference,
        auth: &RegistryAuth,
    ) -> std::result::Result<Vec<u8>, Failure> {
        let host = reference.resolve_registry();
        let base = format!("{}://{host}/v2/", self.scheme);
        let hello = self.http.get(&base).send().await.map_err(|e| self.failed(e, host))?;
        if *auth != RegistryAuth::Anonymous {
            check_realm(&hello, &base)?;
        }
        drop(hello);
        let token = client.auth(reference, auth, RegistryOperation::Pull).await;
        let token = token.map_err(|e| failure::explain(&e, &self.name, host))?;
        let wanted = reference.digest().or(reference.tag()).unwrap_or("latest");
        let url = format!("{base}{}/manifests/{wanted}", reference.repository());
        let mut request = self.http.get(&url).header(ACCEPT, TYPES);
        request = match (token, auth) {
            (Some(token), _) => request.bearer_auth(token),
            (None, RegistryAuth::Basic(user, password)) => request.basic_auth(user, Some(password)),
            (None, _) => request,
        };
        let response = request.send().await.map_err(|e| self.failed(e, host))?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(self.bounded(response, host, MAX_MANIFEST).await?);
        }
        let words = self.bounded(response, host, MAX_WORDS).await?;
        Err(self.refused(status, url, &words, host).into())
    }

    async fn bounded(&self, mut response: Response, host: &str, max: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(e, host).into_error())? {
            if bytes.len() as u64 + chunk.len() as u64 > max {
                return Err(Error::corrupt("the manifest is too large")
                    .cause(format_args!("it has more than {max} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn failed(&self, error: reqwest::Error, host: &str) -> Failure {
        let error = OciDistributionError::RequestError(error);
        let no_tls = failure::speaks_no_tls(&error);
        let error = failure::explain(&error, &self.name, host);
        if no_tls { Failure::NoTls(error) } else { Failure::Other(error) }
    }

    fn refused(&self, status: StatusCode, url: String, words: &[u8], host: &str) -> Error {
        let error = match (status, serde_json::from_slice::<OciEnvelope>(words)) {
            (StatusCode::UNAUTHORIZED, _) => OciDistributionError::UnauthorizedError { url },
            (_, Ok(envelope)) => OciDistributionError::RegistryError { envelope, url },
            (_, Err(_)) => OciDistributionError::ServerError {
                code: status.as_u16(),
                url,
                message: String::from_utf8_lossy(words).into_owned(),
            },
        };
        failure::explain(&error, &self.name, host)
    }
}

/// Whether credentials may go to the token service that the registry names.
fn check_realm(hello: &Response, base: &str) -> Result<()> {
    let headers = hello.headers().get_all(WWW_AUTHENTICATE);
    for realm in headers.iter().filter_map(|h| h.to_str().ok()).filter_map(bearer_realm) {
        let (Ok(realm), Ok(base)) = (Url::parse(realm), Url::parse(base)) else {
            return Err(stranger(realm));
        };
        if !trusted(&realm, &base) {
            return Err(stranger(realm.as_str()));
        }
    }
    Ok(())
}

fn bearer_realm(header: &str) -> Option<&str> {
    let lower = header.to_ascii_lowercase();
    let at = lower.find("bearer").and_then(|start| Some(start + lower.get(start..)?.find("realm=\"")?))?;
    header.get(at + "realm=\"".len()..)?.split('"').next()
}

fn trusted(realm: &Url, base: &Url) -> bool {
    if realm.scheme() != base.scheme() && realm.scheme() != "https" {
        return false;
    }
    let (Some(realm_host), Some(host)) = (realm.host_str(), base.host_str()) else { return false };
    if realm_host == host {
        return true;
    }
    // registry-1.docker.io and auth.docker.io; never two addresses, never a whole top-level domain.
    let domain = |name: &str| {
        let labels: Vec<&str> = name.rsplit('.').take(2).collect();
        let is_name = name.parse::<std::net::IpAddr>().is_err() && !name.starts_with('[');
        (is_name && labels.len() == 2 && labels.iter().all(|l| !l.is_empty())).then(|| labels.join("."))
    };
    realm.scheme() == "https" && domain(realm_host).is_some() && domain(realm_host) == domain(host)
}

fn stranger(realm: &str) -> Error {
    Error::new(Kind::Denied, "the registry wants your credentials sent somewhere else")
        .cause(format_args!("its token service is {realm}"))
        .hint("If you trust that, pull without credentials, or ask the registry's owner for a token service of its own domain.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_to_the_registrys_own_domain_only() {
        let check =
            |realm: &str, base: &str| trusted(&Url::parse(realm).unwrap(), &Url::parse(base).unwrap());
        assert!(check("https://auth.docker.io/token", "https://index.docker.io/v2/"));
        assert!(check("https://gitlab.com/jwt/auth", "https://registry.gitlab.com/v2/"));
        assert!(check("http://127.0.0.1:5001/auth", "http://127.0.0.1:5000/v2/"));
        assert!(!check("http://auth.docker.io/token", "https://index.docker.io/v2/"));
        assert!(!check("https://evil.com/token", "https://index.docker.io/v2/"));
        assert!(!check("https://docker.io.evil.com/token", "https://index.docker.io/v2/"));
        assert!(!check("http://10.0.0.1/", "http://10.1.0.1/v2/"));
    }

    #[test]
    fn the_realm_is_read_from_the_challenge() {
        assert_eq!(bearer_realm(r#"Bearer realm="https://a/t",service="s""#), Some("https://a/t"));
        assert_eq!(bearer_realm(r#"Basic realm="x""#), None);
        assert_eq!(bearer_realm(r#"bearer service="s", Realm="https://a""#), Some("https://a"));
    }
}
