//! The registry client's errors in the user's words.

use crate::error::{Error, Kind};
use oci_client::errors::{OciDistributionError, OciErrorCode};

/// What a failed request means for the pull of `name` from `host`.
pub(super) fn explain(error: &OciDistributionError, name: &str, host: &str) -> Error {
    match error {
        OciDistributionError::RegistryError { envelope, .. } => {
            let codes: Vec<&OciErrorCode> = envelope.errors.iter().map(|e| &e.code).collect();
            let said: Vec<String> = envelope
                .errors
                .iter()
                .map(|e| format!("{:?} {}", e.code, e.message).trim().to_owned())
                .collect();
            let said = format!("registry {host} answered: {}", said.join("; "));
            let any = |wanted: &[OciErrorCode]| codes.iter().any(|code| wanted.contains(code));
            if any(&[OciErrorCode::ManifestUnknown, OciErrorCode::NameUnknown, OciErrorCode::NotFound]) {
                return unknown(name).cause(said);
            }
            if any(&[OciErrorCode::BlobUnknown, OciErrorCode::ManifestBlobUnknown]) {
                return Error::not_found("the registry lacks a part of the image").cause(said);
            }
            if any(&[OciErrorCode::Toomanyrequests]) {
                return Error::new(Kind::Network, "the registry limits how much may be pulled")
                    .cause(said)
                    .hint(format!("Wait some time, or log in with `coracle login {host}`."));
            }
            if any(&[OciErrorCode::Unauthorized, OciErrorCode::Denied]) {
                return denied(name, host).cause(said);
            }
            Error::new(Kind::Network, "the registry refuses the request").cause(said)
        }
        OciDistributionError::ImageManifestNotFoundError(why) => unknown(name).cause(why),
        OciDistributionError::UnauthorizedError { .. } => {
            denied(name, host).cause(format!("registry {host} answered: 401 Unauthorized"))
        }
        OciDistributionError::AuthenticationFailure(why) => denied(name, host).cause(first_line(why)),
        OciDistributionError::ServerError { code: 404, .. } => {
            unknown(name).cause(format!("registry {host} answered: 404 Not Found"))
        }
        OciDistributionError::ServerError { code, message, .. } => {
            Error::new(Kind::Network, "the registry cannot serve the request")
                .cause(format!("registry {host} answered: {code} {}", first_line(message)))
                .hint("Try again later.")
        }
        OciDistributionError::DigestError(e) => {
            Error::corrupt("the registry's data is not what its digest says").cause(e)
        }
        OciDistributionError::RequestError(e) => request(e, host),
        other => Error::new(Kind::Network, "the registry's answer is not usable").cause(other),
    }
}

/// A request without an answer: no connection, no TLS, no time.
fn request(error: &(dyn std::error::Error + 'static), host: &str) -> Error {
    let chain = chain(error);
    let deepest = chain.last().cloned().unwrap_or_default();
    let lower = chain.join(" ").to_ascii_lowercase();
    if lower.contains("causedasendentity") {
        return Error::new(Kind::Network, format_args!("registry {host} shows a certificate that is not trusted"))
            .cause(deepest)
            .hint("It shows the authority's own certificate: give the server one of its own, signed by the authority, or use `--tls-verify=false` if you must.");
    }
    if lower.contains("certificate") || lower.contains("unknownissuer") {
        return Error::new(Kind::Network, format_args!("registry {host} shows a certificate that is not trusted"))
            .cause(deepest)
            .hint(format!(
                "Put the certificate of its authority into ~/.config/containers/certs.d/{host}/ca.crt, or use `--tls-verify=false` if you must."
            ));
    }
    if lower.contains("corrupt message") || lower.contains("invalidcontenttype") || lower.contains("http/0.9")
    {
        return Error::new(Kind::Network, format_args!("registry {host} does not speak TLS")).cause(deepest).hint(format!(
            "If it is meant to be without TLS, use `--tls-verify=false`, or set `insecure = true` for {host} in ~/.config/containers/registries.conf."
        ));
    }
    if lower.contains("dns") || lower.contains("lookup") || lower.contains("name or service") {
        return Error::new(Kind::Network, format_args!("registry {host} has no address"))
            .cause(deepest)
            .hint("Check the name, and the network with `getent hosts`.");
    }
    Error::new(Kind::Network, format_args!("registry {host} does not answer"))
        .cause(deepest)
        .hint(format!("Check that it runs and can be reached: `curl -v https://{host}/v2/`."))
}

/// Whether the other side answered with something that is no TLS.
pub(super) fn speaks_no_tls(error: &OciDistributionError) -> bool {
    matches!(error, OciDistributionError::RequestError(e) if is_no_tls(&chain(e).join(" ").to_ascii_lowercase()))
}

/// By text: the error's type is lost below the HTTP client.
fn is_no_tls(lower: &str) -> bool {
    lower.contains("corrupt message") || lower.contains("invalidcontenttype")
}

/// The texts of an error and of all below it.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut below = error.source();
    while let Some(e) = below {
        texts.push(e.to_string());
        below = e.source();
    }
    texts
}

fn unknown(name: &str) -> Error {
    Error::not_found(format_args!("image {name} not found"))
        .hint("Check the name and the tag: the registry has no such image.")
}

fn denied(name: &str, host: &str) -> Error {
    Error::new(Kind::Denied, format_args!("the registry does not let you pull {name}")).hint(format!(
        "Check the name, and log in with `coracle login {host}` (or `podman login`: the same file is read)."
    ))
}

fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(300).collect()
}
