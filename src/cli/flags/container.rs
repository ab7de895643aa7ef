//! Flags of the container as an object: name, labels, life, logs; and of choosing its image.

use super::mounts::MountFlags;
use crate::cli::parse;
use crate::engine::options::{PullPolicy, STOP_TIMEOUT, Source, Systemd};
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Container")]
pub struct ContainerFlags {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove a container of the same name first
    #[arg(long)]
    pub replace: bool,
    /// Remove the container and its anonymous volumes when it ends
    #[arg(long)]
    pub rm: bool,
    /// Replace the image's entrypoint: a program, or a JSON array
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Set a label
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<String>,
    /// Set an annotation of the OCI runtime
    #[arg(long, value_name = "KEY=VALUE")]
    pub annotation: Vec<String>,
    /// Restart when it ends: no, always, unless-stopped, on-failure[:N]; after a reboot, coracle-restart.service does it
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Signal that `stop` sends first
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds until `stop` kills
    #[arg(long, value_name = "SECONDS", default_value_t = STOP_TIMEOUT)]
    pub stop_timeout: u32,
    /// Kill the container after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub timeout: u32,
    /// Where output goes: k8s-file, none or passthrough
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// max-size=SIZE, path=FILE
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
    /// Cgroups of its own: enabled or disabled
    #[arg(long, value_name = "MODE")]
    pub cgroups: Option<String>,
    /// Write the container's id to this file, which must not exist
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<String>,
    /// Write the process id of the container to this file
    #[arg(long, value_name = "FILE")]
    pub pidfile: Option<String>,
    /// Prepare it for systemd as its first process: true (when the command is an init), always or false
    #[arg(long, value_name = "MODE")]
    pub systemd: Option<String>,
    /// Health checks are not run in any case
    #[arg(long, hide = true)]
    pub no_healthcheck: bool,
}

impl ContainerFlags {
    pub fn labels(&self) -> Result<BTreeMap<String, String>> {
        let mut labels = BTreeMap::new();
        for path in &self.label_file {
            labels.extend(parse::label::file(&super::process::read_text(path, "--label-file")?)?);
        }
        for text in &self.label {
            labels.extend([parse::label::pair(text)?]);
        }
        Ok(labels)
    }

    pub fn annotations(&self) -> Result<BTreeMap<String, String>> {
        self.annotation
            .iter()
            .map(|text| parse::label::strict_pair("--annotation", text, "--annotation key=value"))
            .collect()
    }

    /// `--systemd`.
    pub fn systemd(&self) -> Result<Systemd> {
        match self.systemd.as_deref() {
            None | Some("true" | "1") => Ok(Systemd::ByCommand),
            Some("always") => Ok(Systemd::Always),
            Some("false" | "0") => Ok(Systemd::Never),
            Some(other) => {
                Err(parse::invalid("--systemd", other, "one of true, always, false", "--systemd always"))
            }
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Image")]
pub struct ImageFlags {
    /// When to pull: missing, always, newer or never
    #[arg(long, value_name = "POLICY")]
    pub pull: Option<String>,
    /// Platform of the image: os/arch[/variant]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    pub os: Option<String>,
    /// Architecture variant of the image
    #[arg(long, value_name = "VARIANT")]
    pub variant: Option<String>,
    /// Show no progress of a pull
    #[arg(short, long)]
    pub quiet: bool,
    /// File with credentials for a pull
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<String>,
    /// Require TLS and check certificates for a pull
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_parser = crate::cli::tree::go_bool)]
    pub tls_verify: Option<bool>,
}

/// Whether an image is meant that lies in one file: no name of an image begins like a path. What ends like such a file and
/// is the name of an image all the same can be said with `docker://`.
fn is_file_name(image: &str) -> bool {
    image.starts_with(['/', '.'])
        || [".sqsh", ".sqfs", ".squashfs", ".sif"].iter().any(|end| image.ends_with(end))
            && !image.contains(':')
}

/// `--overlay DIR`. A file would be an image of an ext file system, as apptainer has them.
fn overlay_directory(dir: &str, cwd: &Path) -> Result<String> {
    let path = parse::volume::absolute(dir, cwd);
    match std::fs::metadata(&path) {
        Ok(meta) if meta.is_dir() => Ok(path),
        Ok(_) => Err(Error::usage(format_args!("cannot use {dir} as an overlay"))
            .cause("it is a file: the kernel lets no user mount the ext file system in one")
            .hint("Give a directory: `mkdir DIR`, then --overlay DIR.")),
        Err(e) => Err(e)
            .call(|| format!("stat({path:?})"))
            .what(|| format!("cannot use {dir} as an overlay"))
            .map_err(|e| match e.errno() {
                Some(libc::EACCES) => e,
                _ => e.hint(format_args!("Make it first: `mkdir -p {dir}`.")),
            }),
    }
}

impl ImageFlags {
    /// The same for `coracle pull`, which does the work in another process.
    pub fn pull_flags(&self) -> Result<Vec<String>> {
        let mut flags = Vec::new();
        if self.quiet {
            flags.push("--quiet".to_owned());
        }
        if let Some(file) = &self.authfile {
            let file = std::path::absolute(file).call(|| "getcwd()")?;
            flags.push(format!("--authfile={}", file.display()));
        }
        flags.extend(self.tls_verify.map(|verify| format!("--tls-verify={verify}")));
        Ok(flags)
    }

    /// Where the root file system comes from.
    pub fn source(&self, image: &str, mounts: &MountFlags, cwd: &Path) -> Result<Source> {
        if !mounts.rootfs && is_file_name(image) {
            let overlay = mounts.overlay.as_deref().map(|dir| overlay_directory(dir, cwd)).transpose()?;
            return Ok(Source::File { path: parse::volume::absolute(image, cwd), overlay });
        }
        if mounts.overlay.is_some() {
            return Err(Error::usage("--overlay needs an image in one file")
                .cause(format_args!("{image} is none"))
                .hint("Make one with `coracle image squash IMAGE app.sqsh`, or mount a volume with -v."));
        }
        if mounts.rootfs && !image.is_empty() {
            if image.ends_with(":O") || image.contains(":idmap") {
                return Err(parse::unsupported("a suffix of --rootfs"));
            }
            return Ok(Source::Rootfs(parse::volume::absolute(image, cwd)));
        }
        self.image_source(image, cwd)
    }

    /// The same without the flags that say more of it: an image, a file, or `host:`.
    pub fn image_source(&self, image: &str, cwd: &Path) -> Result<Source> {
        if image.is_empty() {
            return Err(Error::usage("the image name is empty"));
        }
        if is_file_name(image) {
            return Ok(Source::File { path: parse::volume::absolute(image, cwd), overlay: None });
        }
        if image == "host:" {
            return Ok(Source::Host);
        }
        let platform = parse::platform::parse(
            self.platform.as_deref(),
            self.os.as_deref(),
            self.arch.as_deref(),
            self.variant.as_deref(),
        )?;
        let pull = self.pull.as_deref().map_or(Ok(PullPolicy::Missing), parse::platform::pull_policy)?;
        Ok(Source::Image { name: image.to_owned(), pull, platform })
    }
}
