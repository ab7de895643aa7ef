//! `coracle login`.

use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::registry::{self, AuthOptions};
use std::path::PathBuf;

/// Log in to a registry, and store the credentials in auth.json
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// File with credentials
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Print the user that is logged in
    #[arg(long)]
    pub get_login: bool,
    /// Password; others can see it in the process list
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    pub password_stdin: bool,
    /// Require TLS and check certificates
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::tree::go_bool)]
    pub tls_verify: Option<bool>,
    /// User name
    #[arg(short, long, value_name = "NAME")]
    pub username: Option<String>,
    /// Registry; docker.io if not given
    #[arg(value_name = "REGISTRY")]
    pub registry: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs_without_store()?;
    let domain = domain(args.registry.as_deref())?;
    let mut options =
        AuthOptions { authfile: args.authfile.clone(), creds: None, tls_verify: args.tls_verify };
    if args.get_login {
        let user = registry::login::user(&dirs, &domain, &options)?
            .ok_or_else(|| Error::not_found(format_args!("not logged into {domain}")))?;
        ui::line(user)?;
        return Ok(0);
    }
    if args.password_stdin && args.username.is_none() {
        return Err(Error::usage("--password-stdin wants --username"));
    }
    let user = args.username.clone().map_or_else(|| ui::ask("Username", false), Ok)?;
    let password = match &args.password {
        Some(password) => password.clone(),
        None if args.password_stdin => super::flags::process::read_text("-", "--password-stdin")?
            .trim_end_matches(['\n', '\r'])
            .to_owned(),
        None => ui::ask("Password", true)?,
    };
    if user.is_empty() || user.contains(':') || password.is_empty() {
        return Err(Error::usage("the user name or the password is empty, or the user name has a `:`"));
    }
    options.creds = Some((user, password));
    engine::login::log_in(&dirs, &domain, &options)?;
    ui::line("Login Succeeded!")?;
    Ok(0)
}

/// Host and port of what people paste: `https://quay.io/`.
pub fn domain(text: Option<&str>) -> Result<String> {
    let Some(text) = text else { return Ok("docker.io".to_owned()) };
    let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
    let host = bare.trim_end_matches('/');
    let valid = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    if !valid {
        return Err(super::parse::invalid(
            "registry",
            text,
            "not a host name, with or without a port",
            "coracle login quay.io",
        ));
    }
    Ok(if matches!(host, "index.docker.io" | "registry-1.docker.io") { "docker.io" } else { host }.to_owned())
}

#[cfg(test)]
mod tests {
    use super::domain;

    #[test]
    fn registries_are_hosts() {
        assert_eq!(domain(None).unwrap(), "docker.io");
        assert_eq!(domain(Some("https://127.0.0.1:5000/")).unwrap(), "127.0.0.1:5000");
        assert_eq!(domain(Some("index.docker.io")).unwrap(), "docker.io");
        for bad in ["", "a/b", "https://", "a b"] {
            assert!(domain(Some(bad)).is_err(), "{bad}");
        }
    }
}
