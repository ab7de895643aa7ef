//! The distribution protocol: manifests and blobs of registries. The only module with tokio and TLS.
//!
//! # Theory of operation
//!
//! A `Session` talks to one repository at one endpoint, found by trying mirrors and the place itself in the order of
//! registries.conf. One thread drives a single-threaded tokio; several callers hand it blobs to load and wait on their own
//! side of the sink. What comes is believed by nobody here: digests are checked by whoever consumes the bytes, manifests
//! before they are parsed. A blob that breaks off is gone on with by a Range request; a server without ranges sends it
//! again, and what is there already is skipped.
//!
//! Credentials go to the host that they are configured for. They are never sent in the clear, except to this machine or
//! where the user said that the registry is insecure. URLs in manifests (`urls`) are not followed.

mod auth;
mod conf;
mod download;
mod failure;
pub mod login;
mod manifest;
mod progress;
mod token;

pub use auth::AuthOptions;
pub use conf::{Endpoint, RegistriesConf, Whose};
pub use download::{BlobSink, Downloads};
pub use progress::Bars;

use crate::error::{Context, Error, Kind, Result};
use crate::id::Sha256;
use crate::paths::Dirs;
use crate::spec::image::Descriptor;
use crate::sys::CallContext;
use manifest::{Failure, Manifests};
use oci_client::client::ClientProtocol;
use oci_client::errors::OciDistributionError;
use oci_client::secrets::RegistryAuth;
use sha2::Digest;
use std::sync::Mutex;
use std::time::Duration;

/// A registry that says nothing for so long is given up.
const IDLE: Duration = Duration::from_secs(30);
/// A host that does not answer at all.
const CONNECT: Duration = Duration::from_secs(15);

/// How often a request may be sent elsewhere.
const REDIRECTS: usize = 5;
const USER_AGENT: &str = concat!("coracle/", env!("CARGO_PKG_VERSION"));

/// What to pull: a full name taken apart.
#[derive(Debug, Clone)]
pub struct Target {
    /// Host and port.
    pub domain: String,
    pub path: String,
    pub tag: Option<String>,
    pub digest: Option<Sha256>,
}

/// One repository at one endpoint.
pub struct Session {
    runtime: tokio::runtime::Runtime,
    manifests: Manifests,
    reference: oci_client::Reference,
    /// Where it really is, for messages.
    pub endpoint: Endpoint,
    name: String,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Opens a session at the first endpoint that has the manifest; returns its bytes and digest too.
    pub fn open(
        dirs: &Dirs,
        target: &Target,
        conf: &RegistriesConf,
        options: &AuthOptions,
    ) -> Result<(Self, Vec<u8>, Sha256)> {
        // Only the first of a process counts; others say the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let name = target.to_string();
        let endpoints = conf.endpoints(&target.domain, &target.path, options.tls_verify)?;
        let mut failed: Option<Error> = None;
        for endpoint in endpoints {
            match Self::try_endpoint(dirs, conf, target, (&endpoint, options), &name) {
                Ok(found) => return Ok(found),
                // The last one is the place itself: its words are the ones that count, mirrors' come below.
                Err(e) => {
                    failed = Some(match failed {
                        Some(before) => e.cause(format_args!("mirror: {before}")),
                        None => e,
                    });
                }
            }
        }
        let failed = failed.unwrap_or_else(|| Error::internal("no endpoint to try"));
        // "image … not found" says it all.
        Err(if failed.kind() == Kind::NotFound {
            failed
        } else {
            failed.wrap(format_args!("cannot pull {name}"))
        })
    }

    fn try_endpoint(
        dirs: &Dirs,
        conf: &RegistriesConf,
        target: &Target,
        (endpoint, options): (&Endpoint, &AuthOptions),
        name: &str,
    ) -> Result<(Self, Vec<u8>, Sha256)> {
        let certificates = conf::certificates(dirs, conf, &endpoint.host);
        let auth = auth::find(dirs, endpoint, options)?;
        let clear_allowed =
            endpoint.insecure || (is_loopback(&endpoint.host) && options.tls_verify != Some(true));
        let https = Self::connect(&certificates, target, endpoint, (ClientProtocol::Https, &auth), name)?;
        match https.try_manifest(&https.reference) {
            // Only where it speaks no TLS at all: a certificate that is not trusted is no reason to go without.
            Err(Failure::NoTls(_)) if clear_allowed => {
                let http =
                    Self::connect(&certificates, target, endpoint, (ClientProtocol::Http, &auth), name)?;
                let (bytes, digest) = http.manifest(&http.reference)?;
                http.checked(target, bytes, digest)
            }
            Err(e) => Err(e.into_error()),
            Ok(bytes) => {
                let digest = Sha256::from_bytes(&sha2::Sha256::digest(&bytes).into());
                https.checked(target, bytes, digest)
            }
        }
    }

    fn checked(self, target: &Target, bytes: Vec<u8>, digest: Sha256) -> Result<(Self, Vec<u8>, Sha256)> {
        if target.digest.as_ref().is_some_and(|wanted| *wanted != digest) {
            return Err(wrong_manifest(target.digest.as_ref(), &digest));
        }
        Ok((self, bytes, digest))
    }

    fn connect(
        certificates: &[Vec<u8>],
        target: &Target,
        endpoint: &Endpoint,
        (protocol, auth): (ClientProtocol, &RegistryAuth),
        name: &str,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| Error::host("cannot talk to registries").cause(e))?;
        // Without TLS there is nothing to verify, and no need of the machine's certificates.
        let lax = endpoint.insecure || protocol == ClientProtocol::Http;
        let scheme = if protocol == ClientProtocol::Http { "http" } else { "https" };
        let failed = |e| failure::explain(&e, name, &endpoint.host);
        let http =
            http_client(lax, certificates).map_err(|e| failed(OciDistributionError::RequestError(e)))?;
        let (host, path) = (endpoint.host.clone(), endpoint.path.clone());
        let reference = match (&target.digest, &target.tag) {
            (Some(digest), _) => oci_client::Reference::with_digest(host, path, digest.prefixed()),
            (None, tag) => oci_client::Reference::with_tag(
                host,
                path,
                tag.clone().unwrap_or_else(|| "latest".to_owned()),
            ),
        };
        Ok(Self {
            runtime,
            manifests: Manifests {
                http,
                scheme,
                name: name.to_owned(),
                auth: auth.clone(),
                pass: Mutex::new(None),
            },
            reference,
            endpoint: endpoint.clone(),
            name: name.to_owned(),
        })
    }

    /// The manifest that an index names.
    pub fn manifest_by_digest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let wanted = descriptor.sha256()?;
        let (bytes, digest) = self.manifest(&self.reference.clone_with_digest(wanted.prefixed()))?;
        if digest != wanted || bytes.len() as u64 != descriptor.size {
            return Err(wrong_manifest(Some(&wanted), &digest));
        }
        Ok(bytes)
    }

    fn manifest(&self, reference: &oci_client::Reference) -> Result<(Vec<u8>, Sha256)> {
        let bytes = self.try_manifest(reference).map_err(Failure::into_error)?;
        let digest = Sha256::from_bytes(&sha2::Sha256::digest(&bytes).into());
        Ok((bytes, digest))
    }

    fn try_manifest(&self, reference: &oci_client::Reference) -> std::result::Result<Vec<u8>, Failure> {
        self.runtime.block_on(self.manifests.get(reference))
    }

    /// A small blob, whole and checked: a config.
    pub fn small_blob(&self, descriptor: &Descriptor, max: u64) -> Result<Vec<u8>> {
        let digest = descriptor.sha256()?;
        if descriptor.size > max {
            return Err(Error::corrupt("the image's config is too large")
                .cause(format_args!("{} bytes, at most {max} are allowed", descriptor.size)));
        }
        let mut collected = Vec::new();
        let size = descriptor.size;
        self.runtime.block_on(download::collect(
            &self.manifests,
            &self.reference,
            &digest,
            size,
            &mut collected,
        ))?;
        let hash: [u8; 32] = sha2::Sha256::digest(&collected).into();
        if Sha256::from_bytes(&hash) != digest || collected.len() as u64 != size {
            return Err(Error::corrupt("the image's config is not what the manifest says").cause(
                format_args!(
                    "digest {} instead of {}",
                    Sha256::from_bytes(&hash).prefixed(),
                    digest.prefixed()
                ),
            ));
        }
        Ok(collected)
    }

    /// Runs `work` with a thread beside it that loads the blobs which `work` asks for.
    pub fn downloads<T>(&self, work: impl FnOnce(&Downloads) -> Result<T>) -> Result<T> {
        let (downloads, jobs) = Downloads::new();
        std::thread::scope(|scope| {
            let serve = || {
                self.runtime.block_on(download::serve(&self.manifests, &self.reference, jobs));
            };
            std::thread::Builder::new()
                .name("network".to_owned())
                .spawn_scoped(scope, serve)
                .call(|| "clone(network thread)")
                .what(|| "cannot download")?;
            let result = work(&downloads);
            // The network thread ends when nobody can ask it any more.
            drop(downloads);
            result
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        match (&self.tag, &self.digest) {
            (_, Some(digest)) => write!(f, "@{}", digest.prefixed()),
            (Some(tag), None) => write!(f, ":{tag}"),
            (None, None) => Ok(()),
        }
    }
}

fn http_client(lax: bool, certificates: &[Vec<u8>]) -> reqwest::Result<reqwest::Client> {
    let mut more = Vec::new();
    for pem in certificates {
        more.extend(reqwest::Certificate::from_pem_bundle(pem)?);
    }
    reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(lax)
        .tls_certs_merge(more)
        .read_timeout(IDLE)
        .connect_timeout(CONNECT)
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::custom(redirect))
        .build()
}

/// Where a registry may send a request: never from TLS to none, never to this machine or its neighbours (services that
/// trust whoever reaches them) unless it is there itself. Another host or port gets no credentials: reqwest drops them.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let first = attempt.previous().first();
    let near = |url: &reqwest::Url| {
        let host = url.host_str().unwrap_or_default();
        let name = host.trim_start_matches('[').trim_end_matches(']');
        host.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(is_near)
    };
    let downgrade =
        attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https");
    if attempt.previous().len() > REDIRECTS {
        attempt.error("the registry redirects in circles")
    } else if downgrade {
        attempt.error("the registry redirects to a place without TLS")
    } else if near(attempt.url()) && !first.is_some_and(near) {
        attempt.error("the registry redirects into this machine or its local network")
    } else {
        attempt.follow()
    }
}

/// Loopback, link-local, unspecified.
fn is_near(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local() || ip.is_unspecified(),
        std::net::IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_near(ip.into()),
            None => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified(),
        },
    }
}

fn wrong_manifest(wanted: Option<&Sha256>, actual: &Sha256) -> Error {
    Error::corrupt("the manifest is not what its digest says")
        .cause(format_args!("digest {} instead of {}", actual.prefixed(), wanted.map_or_else(String::new, Sha256::prefixed)))
        .hint("The registry or the way to it altered the data: pull again, and tell the registry's owner if it stays.")
}

/// This machine: what is sent there is on no wire.
fn is_loopback(host: &str) -> bool {
    let name =
        host.rsplit_once(':').map_or(host, |(name, port)| if port.contains(']') { host } else { name });
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["127.0.0.1.evil.com", "localhost.evil.com", "10.0.0.1:5000", "evil:127", "[2001:db8::1]:5000"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
