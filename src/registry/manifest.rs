//! Asking a registry for manifests and blobs, carefully: of bounded size, and with credentials only for whom they are meant.
//!
//! The client of `oci_client` reads manifests, tokens and error messages of any size into memory, panics on a token that is
//! no header, and follows redirects from TLS to none. So requests are made here; its types stay.

use super::failure;
use super::token::Pass;
use crate::error::{Error, Result};
use crate::id::Sha256;
use crate::spec::image::MAX_MANIFEST;
use oci_client::Reference;
use oci_client::errors::{OciDistributionError, OciEnvelope};
use oci_client::secrets::RegistryAuth;
use reqwest::header::{ACCEPT, RANGE};
use reqwest::{RequestBuilder, Response, StatusCode};
use std::sync::Mutex;

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
    pub(super) auth: RegistryAuth,
    /// What the last request showed.
    pub(super) pass: Mutex<Option<Pass>>,
}

impl Manifests {
    /// The bytes of the manifest that `reference` names.
    pub(super) async fn get(&self, reference: &Reference) -> std::result::Result<Vec<u8>, Failure> {
        let host = reference.resolve_registry();
        let wanted = reference.digest().or(reference.tag()).unwrap_or("latest");
        let url = format!("{}{}/manifests/{wanted}", self.base(host), reference.repository());
        let response = self.ask(reference, &url, |request| request.header(ACCEPT, TYPES)).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok(self.bounded(response, host, MAX_MANIFEST, "the manifest").await?);
        }
        Err(self.refuse(response, url, host).await.into())
    }

    /// A blob from byte `have` on, and how many bytes of what comes are to be skipped.
    pub(super) async fn blob(
        &self,
        reference: &Reference,
        digest: &Sha256,
        have: u64,
    ) -> Result<(Response, u64)> {
        let host = reference.resolve_registry();
        let url = format!("{}{}/blobs/{}", self.base(host), reference.repository(), digest.prefixed());
        let from = |request: RequestBuilder| match have {
            0 => request,
            have => request.header(RANGE, format!("bytes={have}-")),
        };
        let response = self.ask(reference, &url, from).await.map_err(Failure::into_error)?;
        match response.status() {
            StatusCode::OK => Ok((response, have)),
            StatusCode::PARTIAL_CONTENT => Ok((response, 0)),
            _ => Err(self.refuse(response, url, host).await),
        }
    }

    /// One request, with what the registry wants to see; asked for again once, for tokens have an end.
    async fn ask(
        &self,
        reference: &Reference,
        url: &str,
        more: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> std::result::Result<Response, Failure> {
        let host = reference.resolve_registry();
        let known = self.pass().clone();
        let fresh = known.is_none();
        let mut pass = match known {
            Some(pass) => pass,
            None => self.authorize(&self.base(host), host, reference.repository()).await?,
        };
        *self.pass() = Some(pass.clone());
        let send = async |pass: &Pass| pass.on(more(self.http.get(url))).send().await;
        let response = send(&pass).await.map_err(|e| self.failed(e, host))?;
        if response.status() != StatusCode::UNAUTHORIZED || fresh {
            return Ok(response);
        }
        pass = self.authorize(&self.base(host), host, reference.repository()).await?;
        *self.pass() = Some(pass.clone());
        send(&pass).await.map_err(|e| self.failed(e, host))
    }

    fn pass(&self) -> std::sync::MutexGuard<'_, Option<Pass>> {
        self.pass.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn base(&self, host: &str) -> String {
        format!("{}://{host}/v2/", self.scheme)
    }

    async fn refuse(&self, response: Response, url: String, host: &str) -> Error {
        let status = response.status();
        match self.bounded(response, host, MAX_WORDS, "the registry's answer").await {
            Ok(words) => self.refused(status, url, &words, host),
            Err(e) => e,
        }
    }

    /// The token service does not want us.
    pub(super) fn not_let_in(&self, status: StatusCode, words: &[u8], host: &str) -> Error {
        let why = String::from_utf8_lossy(words);
        let error = OciDistributionError::AuthenticationFailure(format!("{status} {}", why.trim()));
        failure::explain(&error, &self.name, host)
    }

    /// The whole of an answer, which may have `max` bytes.
    pub(super) async fn bounded(
        &self,
        mut response: Response,
        host: &str,
        max: u64,
        what: &str,
    ) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(e, host).into_error())? {
            if bytes.len() as u64 + chunk.len() as u64 > max {
                return Err(Error::corrupt(format_args!("{what} is too large"))
                    .cause(format_args!("it has more than {max} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    pub(super) fn failed(&self, error: reqwest::Error, host: &str) -> Failure {
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
