//! `coracle pull`. Runs in the store's namespace, where layers are unpacked.

use crate::cli::{App, parse, ui};
use crate::engine::image::{self, PullOptions};
use crate::error::{Context, Error, Result};
use crate::registry::AuthOptions;
use crate::sys::CallContext;
use crate::userns;
use std::path::PathBuf;

/// Pull images from a registry, a directory or an archive, and print their ids
///
/// Names are REGISTRY/PATH:TAG (docker.io if none is given), oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE.
/// A pull that was interrupted goes on where it stopped.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// File with credentials
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// Credentials
    #[arg(long, value_name = "USER:PASSWORD")]
    pub creds: Option<String>,
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Platform of the image: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// When to pull: always, missing, newer or never
    #[arg(long, value_name = "POLICY", default_value = "always")]
    pub policy: String,
    /// Show no progress
    #[arg(short, long)]
    pub quiet: bool,
    /// Require TLS and check certificates
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::tree::go_bool)]
    pub tls_verify: Option<bool>,
    /// Architecture variant of the image
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
    /// Write the id to this file instead of stdout (`run` asks for it)
    #[arg(long, value_name = "FILE", hide = true)]
    pub id_file: Option<PathBuf>,
    /// Names
    #[arg(value_name = "IMAGE", required = true)]
    pub images: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let options = options(args)?;
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let mut code = 0;
    for name in &args.images {
        match image::pull(&dirs, name, &options) {
            Ok(id) => say(args, id.as_str())?,
            Err(e) => code = ui::error(&e),
        }
    }
    Ok(code)
}

fn options(args: &Args) -> Result<PullOptions> {
    let platform = parse::platform::parse(
        args.platform.as_deref(),
        args.os.as_deref(),
        args.arch.as_deref(),
        args.variant.as_deref(),
    )?;
    let creds = args.creds.as_deref().map(|text| match text.split_once(':') {
        Some((user, password)) if !user.is_empty() => Ok((user.to_owned(), password.to_owned())),
        // The text itself holds a password: it is not repeated.
        _ => Err(Error::usage("invalid credentials: not USER:PASSWORD")),
    });
    Ok(PullOptions {
        policy: parse::platform::pull_policy(&args.policy)?,
        platform,
        auth: AuthOptions {
            authfile: args.authfile.clone(),
            creds: creds.transpose()?,
            tls_verify: args.tls_verify,
        },
        quiet: args.quiet,
        say: |text| ui::warn(text),
    })
}

fn say(args: &Args, id: &str) -> Result<()> {
    match &args.id_file {
        Some(file) => std::fs::File::create(file)
            .and_then(|mut f| std::io::Write::write_all(&mut f, id.as_bytes()))
            .call(|| format!("write({file:?})"))
            .what(|| "cannot say which image was pulled"),
        None => ui::line(id),
    }
}
