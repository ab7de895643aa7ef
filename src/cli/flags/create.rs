//! All flags that `run` and `create` share, and the one place where they become `CreateOptions`.

use super::container::{ContainerFlags, ImageFlags};
use super::hpc::{self, HpcFlags};
use super::mounts::MountFlags;
use super::network::NetworkFlags;
use super::process::{ProcessFlags, entrypoint};
use super::resources::ResourceFlags;
use super::security::SecurityFlags;
use crate::cli::global::CgroupManager;
use crate::cli::{App, parse, ui};
use crate::engine;
use crate::engine::options::{CreateOptions, Extra, Source};
use crate::error::{Context, Error, Result};
use crate::id::ContainerName;
use crate::ondisk::container::{Cgroups, NetworkMode, Restart};
use crate::sys::CallContext;
use std::path::PathBuf;

#[derive(Debug, Clone, clap::Args)]
pub struct CreateFlags {
    #[command(flatten)]
    pub process: ProcessFlags,
    #[command(flatten)]
    pub mounts: MountFlags,
    #[command(flatten)]
    pub resources: ResourceFlags,
    #[command(flatten)]
    pub network: NetworkFlags,
    #[command(flatten)]
    pub security: SecurityFlags,
    #[command(flatten)]
    pub hpc: HpcFlags,
    #[command(flatten)]
    pub container: ContainerFlags,
    #[command(flatten)]
    pub image: ImageFlags,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    pub help: Option<bool>,
    /// Image (a name, an id, oci:DIR, docker-archive:FILE, a file app.sqsh, host: for the host's own system), then command and arguments
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}

impl CreateFlags {
    /// Everything checked and typed.
    pub fn to_options(&self, app: &App) -> Result<CreateOptions> {
        let cwd = app.cwd()?;
        let (image, command) = self.words.split_first().ok_or_else(|| Error::usage("no image given"))?;
        if let Some(name) = &self.container.name {
            ContainerName::parse(name)?;
        }
        let restart = self.container.restart.as_deref().map_or(Ok(Restart::No), parse::restart::parse)?;
        if self.container.rm && matches!(restart, Restart::Always | Restart::UnlessStopped) {
            return Err(Error::usage("--rm cannot be combined with --restart always or unless-stopped"));
        }
        let log = parse::log::parse(self.container.log_driver.as_deref(), &self.container.log_opt)?;
        let stop_signal =
            self.container.stop_signal.as_deref().map(crate::engine::signals::parse).transpose()?;
        let source = self.image.source(image, &self.mounts, &cwd)?;
        let network = self.network.to_options()?;
        let namespaces = self.security.namespaces()?;
        if self.process.hostname.is_some() && namespaces.uts == crate::engine::options::NamespaceMode::Host {
            return Err(Error::usage("--hostname cannot be combined with --uts host"));
        }
        if source == Source::Host && network.mode.is_none() {
            ui::debug(|| "host: has no network unless asked for".to_owned());
        }
        let mut options = CreateOptions {
            name: self.container.name.clone(),
            replace: self.replace()?,
            source,
            pull_flags: self.image.pull_flags()?,
            command: command.to_vec(),
            entrypoint: self.container.entrypoint.as_deref().map(entrypoint).transpose()?,
            process: self.process.to_options()?,
            mounts: self.mounts.mounts(&cwd)?,
            read_only: self.mounts.read_only,
            read_only_tmpfs: self.mounts.read_only_tmpfs,
            image_volumes: self.mounts.image_volumes()?,
            security: self.security.security(&cwd)?,
            namespaces,
            network,
            limits: self.resources.to_limits()?,
            labels: self.container.labels()?,
            annotations: self.container.annotations()?,
            auto_remove: self.container.rm,
            restart,
            stop_signal,
            stop_timeout: self.container.stop_timeout,
            log,
            cgroups: self.cgroups(app)?,
            systemd: self.container.systemd()?,
            runtime: app.globals.runtime.as_deref().map(runtime_path).transpose()?,
            shm_size: self.mounts.shm_size()?,
            devices: self.mounts.devices.to_options()?,
            timeout: self.container.timeout,
            pid_file: self.container.pidfile.as_deref().map(|path| parse::volume::absolute(path, &cwd)),
            driver: app.globals.storage_driver()?,
            create_command: app.argv.clone(),
            extra: Extra::default(),
        };
        let other = HpcFlags::contradiction(&self.process, &self.security);
        let hpc = engine::site::hpc(self.hpc.hpc, other)?;
        engine::site::apply(&mut options)?;
        if hpc {
            hpc::apply(&mut options, &self.security, app.dirs()?.home.as_deref());
        }
        Ok(options)
    }

    fn replace(&self) -> Result<bool> {
        if self.container.replace && self.container.name.is_none() {
            return Err(Error::usage("--replace wants --name"));
        }
        Ok(self.container.replace)
    }

    fn cgroups(&self, app: &App) -> Result<Cgroups> {
        let manager = app.globals.cgroup_manager()?;
        match self.container.cgroups.as_deref() {
            None | Some("" | "enabled") if manager == CgroupManager::Disabled => Ok(Cgroups::Disabled),
            None | Some("" | "enabled") => Ok(Cgroups::Enabled),
            Some("disabled") => Ok(Cgroups::Disabled),
            Some(known @ ("no-conmon" | "split")) => {
                Err(parse::unsupported(format_args!("--cgroups {known}")))
            }
            Some(other) => Err(parse::invalid("--cgroups", other, "one of enabled, disabled", "")),
        }
    }

    /// Refuses a `--cidfile` that exists, before anything is made.
    pub fn check_cidfile(&self) -> Result<()> {
        match self.container.cidfile.as_deref() {
            Some(path) if std::path::Path::new(path).exists() => Err(Error::in_use(format_args!(
                "the cidfile {path} exists"
            ))
            .hint(format_args!("Remove it, or the container it names: `coracle rm --cidfile {path}`."))),
            _ => Ok(()),
        }
    }

    /// Writes the id to `--cidfile`, without a newline, as podman does.
    pub fn write_cidfile(&self, id: &str) -> Result<()> {
        use std::io::Write;
        let Some(path) = self.container.cidfile.as_deref() else { return Ok(()) };
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .and_then(|mut file| file.write_all(id.as_bytes()))
            .call(|| format!("write({path:?})"))
            .what(|| format!("cannot write the cidfile {path}"))
    }

    /// Warnings about combinations that work otherwise than they look.
    pub fn warn(&self, options: &CreateOptions) {
        let ignored =
            !options.network.ports.is_empty() && matches!(options.network.mode, Some(NetworkMode::None));
        if ignored {
            ui::warn("published ports are of no use with --network none");
        }
    }
}

/// `--runtime`: a path, or a program of that name.
fn runtime_path(text: &str) -> Result<String> {
    if text.contains('/') {
        let path = std::path::absolute(text).call(|| "getcwd()")?;
        if !path.is_file() {
            return Err(Error::not_found(format_args!("no OCI runtime {text}"))
                .hint("Give the path of a program, or a name such as crun."));
        }
        return Ok(path.to_string_lossy().into_owned());
    }
    let system =
        ["/usr/bin", "/usr/local/bin", "/bin", "/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    system
        .into_iter()
        .chain(crate::paths::search_path())
        .map(|dir| dir.join(text))
        .find(|file| file.is_file())
        .map(|file| file.to_string_lossy().into_owned())
        .ok_or_else(|| {
            Error::not_found(format_args!("no OCI runtime {text}"))
                .cause("it is neither in the system's program directories nor in PATH")
                .hint("Install it, or give its path: `--runtime /path/to/crun`.")
        })
}
