//! Who we are for a registry: the token that its token service gives, or the name and password themselves.
//!
//! The service is named by the registry, so it is looked at first. With credentials it must be the registry's own, or of
//! the same domain, and speak TLS where the registry does. Without, it may be anybody who has a name and speaks TLS: what
//! it answers goes back to the registry, and must not come from an address that only this machine reaches.

use super::manifest::{Failure, Manifests};
use crate::error::{Error, Kind, Result};
use oci_client::secrets::RegistryAuth;
use reqwest::header::WWW_AUTHENTICATE;
use reqwest::{RequestBuilder, Response, StatusCode, Url};

/// Largest answer of a token service.
const MAX_TOKEN: u64 = 256 << 10;

/// What a request shows.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Pass {
    Nothing,
    Bearer(String),
    Basic(String, String),
}

impl std::fmt::Debug for Pass {
    /// Never what it is.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass")
    }
}

impl Pass {
    /// The request with it.
    pub(super) fn on(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nothing => request,
            Self::Bearer(token) => request.bearer_auth(token),
            Self::Basic(user, password) => request.basic_auth(user, Some(password)),
        }
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
}

impl Manifests {
    /// Asks the registry at `base` what it wants, and gets it.
    pub(super) async fn authorize(
        &self,
        base: &str,
        host: &str,
        repository: &str,
    ) -> std::result::Result<Pass, Failure> {
        let hello = self.http.get(base).send().await.map_err(|e| self.failed(e, host))?;
        let basic = match &self.auth {
            RegistryAuth::Basic(user, password) => Some((user, password)),
            RegistryAuth::Anonymous | RegistryAuth::Bearer(_) => None,
        };
        let Some(challenge) = challenge(&hello) else {
            return Ok(basic.map_or(Pass::Nothing, |(u, p)| Pass::Basic(u.clone(), p.clone())));
        };
        let mut realm = checked(&challenge.realm, base, basic.is_some())?;
        {
            let mut query = realm.query_pairs_mut();
            query.append_pair("scope", &format!("repository:{repository}:pull"));
            if let Some(service) = &challenge.service {
                query.append_pair("service", service);
            }
        }
        let mut request = self.http.get(realm);
        if let Some((user, password)) = basic {
            request = request.basic_auth(user, Some(password));
        }
        let response = request.send().await.map_err(|e| self.failed(e, host))?;
        let status = response.status();
        let words = self.bounded(response, host, MAX_TOKEN, "the answer of the token service").await?;
        if status != StatusCode::OK {
            return Err(self.not_let_in(status, &words, host).into());
        }
        let answer: Option<Answer> = serde_json::from_slice(&words).ok();
        match answer.and_then(|answer| answer.token.or(answer.access_token)) {
            Some(token) if token.bytes().all(|b| b.is_ascii_graphic()) => Ok(Pass::Bearer(token)),
            _ => Err(Error::new(Kind::Network, "the registry's token service gives no usable token")
                .cause(challenge.realm)
                .into()),
        }
    }
}

struct Challenge {
    realm: String,
    service: Option<String>,
}

fn challenge(hello: &Response) -> Option<Challenge> {
    let headers = hello.headers().get_all(WWW_AUTHENTICATE);
    headers.iter().filter_map(|h| h.to_str().ok()).find_map(bearer)
}

/// `Bearer realm="…",service="…"`.
fn bearer(header: &str) -> Option<Challenge> {
    let start = header.to_ascii_lowercase().find("bearer")?;
    let words = header.get(start..)?;
    Some(Challenge { realm: parameter(words, "realm")?, service: parameter(words, "service") })
}

fn parameter(words: &str, name: &str) -> Option<String> {
    let key = format!("{name}=\"");
    let at = words.to_ascii_lowercase().find(&key)? + key.len();
    words.get(at..)?.split('"').next().map(str::to_owned)
}

/// The token service as an address, if it may be asked.
fn checked(realm: &str, base: &str, credentials: bool) -> Result<Url> {
    let (Ok(realm), Ok(base)) = (Url::parse(realm), Url::parse(base)) else { return Err(stranger(realm)) };
    let named = realm.scheme() == "https" && realm.domain().is_some_and(|name| name.contains('.'));
    if trusted(&realm, &base) || (!credentials && named) {
        return Ok(realm);
    }
    Err(stranger(realm.as_str()))
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
    Error::new(Kind::Denied, "the registry names a token service that is not its own")
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
    fn without_credentials_it_needs_a_name() {
        let base = "https://q.io/v2/";
        assert!(checked("https://auth.example.com/t", base, false).is_ok());
        assert!(checked("https://auth.example.com/t", base, true).is_err());
        for inside in
            ["http://169.254.169.254/t", "https://10.0.0.1/t", "https://metadata/t", "file:///etc/passwd"]
        {
            assert!(checked(inside, base, false).is_err(), "{inside}");
        }
    }

    #[test]
    fn the_realm_is_read_from_the_challenge() {
        assert_eq!(
            bearer(r#"Bearer realm="https://a/t",service="s""#).map(|c| (c.realm, c.service)),
            Some(("https://a/t".into(), Some("s".into())))
        );
        assert!(bearer(r#"Basic realm="x""#).is_none());
        assert!(bearer("Bearer error").is_none());
        assert_eq!(bearer(r#"bearer service="s", Realm="https://a""#).unwrap().realm, "https://a");
    }
}
