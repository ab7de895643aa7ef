//! `coracle bundle`: an image as an OCI runtime bundle.

use crate::cli::flags::container::ImageFlags;
use crate::cli::flags::mounts::refuse_twice;
use crate::cli::flags::process::{entrypoint, environment, hostname};
use crate::cli::{App, parse, ui};
use crate::engine::options::{
    CreateOptions, ImageVolumes, MountOption, NamespaceMode, NamespaceOptions, NetworkOptions,
    ProcessOptions, Systemd,
};
use crate::engine::{self, bundle};
use crate::error::{Error, Result};
use crate::ondisk::container::{Cgroups, NetworkMode};
use crate::userns;
use std::path::Path;

/// Write an image to a directory as an OCI runtime bundle, for coracle-oci and for `srun --container`
///
/// The directory gets config.json and rootfs, a copy of the image's files; it must not exist, or be empty. The image is
/// one of the store, of a registry, an archive, or a file app.sqsh. Containers of a bundle share what they write to
/// rootfs. They have the network, the host name and the shared memory of the machine unless told otherwise, and stay in
/// the cgroup of who starts them: limits are the batch system's.
///
/// Where you have subordinate ids, files keep the image's owners, and `coracle unshare rm -rf DIR` removes them. With
/// --single-uid, or without such ids, all files are yours, and the bundle works on machines that give you other
/// subordinate ids or none.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle bundle [OPTIONS] IMAGE DIR [COMMAND [ARG...]]")]
pub struct Args {
    /// Map only yourself, as root of the container, and make all files yours
    #[arg(long)]
    pub single_uid: bool,
    /// Set an environment variable; KEY alone or PREFIX* takes the values from the host
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file, one KEY=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Replace the image's entrypoint: a program, or a JSON array
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User and group: a name of the image's, or a number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Mount a directory or file of the machine that the container starts on
    #[arg(short, long, value_name = "SOURCE:PATH[:OPTIONS]")]
    pub volume: Vec<String>,
    /// Mount an empty file system in memory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Make the root file system read-only, with /run, /tmp and /var/tmp in memory
    #[arg(long)]
    pub read_only: bool,
    /// Network: host, or none
    #[arg(long, value_name = "MODE", default_value = "host")]
    pub network: String,
    /// Process namespace: private or host
    #[arg(long, value_name = "MODE", default_value = "private")]
    pub pid: String,
    /// IPC namespace and /dev/shm: host, so that the tasks of a node share memory, or private
    #[arg(long, value_name = "MODE", default_value = "host")]
    pub ipc: String,
    /// Host name in the container; the machine's if not given
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    #[command(flatten)]
    pub image: ImageFlags,
    /// Only the files, into a directory that was made for them (from ourselves)
    #[arg(long, hide = true)]
    pub files_only: bool,
    /// Image (a name, an id, oci:DIR, docker-archive:FILE, a file app.sqsh), directory, then command and arguments
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let [image, dir, command @ ..] = args.words.as_slice() else {
        return Err(Error::usage("no directory given for the bundle")
            .hint("Name one after the image: `coracle bundle IMAGE DIR`."));
    };
    let cwd = app.cwd()?;
    let dir = cwd.join(dir);
    if args.files_only {
        if !userns::inside_store() {
            return Err(Error::usage("--files-only is for coracle itself"));
        }
        if let Some(note) = bundle::unpack(&app.dirs()?, image, &dir, args.single_uid)? {
            ui::warn(note);
        }
        return Ok(0);
    }
    let mut options = args.to_options(app, image, command, &cwd)?;
    engine::site::apply(&mut options)?;
    bundle::write(&app.dirs()?, &options, &dir, args.single_uid)?;
    Ok(0)
}

impl Args {
    fn to_options(&self, app: &App, image: &str, command: &[String], cwd: &Path) -> Result<CreateOptions> {
        let network = match self.network.as_str() {
            "host" => NetworkMode::Host,
            "none" => NetworkMode::None,
            other => {
                return Err(parse::invalid("--network", other, "one of host, none", "--network none"));
            }
        };
        let process = self.process()?;
        let uts = if process.hostname.is_some() { NamespaceMode::Private } else { NamespaceMode::Host };
        Ok(CreateOptions {
            pull_flags: self.image.pull_flags()?,
            command: command.to_vec(),
            entrypoint: self.entrypoint.as_deref().map(entrypoint).transpose()?,
            process,
            mounts: self.mounts(cwd)?,
            read_only: self.read_only,
            image_volumes: ImageVolumes::Ignore,
            namespaces: NamespaceOptions {
                pid: parse::namespace::parse("--pid", Some(&self.pid))?,
                ipc: parse::namespace::parse("--ipc", Some(&self.ipc))?,
                uts,
                ..NamespaceOptions::default()
            },
            network: NetworkOptions { mode: Some(network), ..NetworkOptions::default() },
            cgroups: Cgroups::Disabled,
            systemd: Systemd::Never,
            // No limit: memory is the batch system's to give.
            shm_size: 0,
            driver: app.globals.storage_driver()?,
            ..CreateOptions::plain(self.image.image_source(image, cwd)?)
        })
    }

    fn process(&self) -> Result<ProcessOptions> {
        if let Some(dir) = self.workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
            return Err(parse::invalid("working directory", dir, "not an absolute path", "--workdir /src"));
        }
        Ok(ProcessOptions {
            env: environment(&self.env_file, &self.env, &parse::env::host())?,
            workdir: self.workdir.clone(),
            user: self.user.clone().filter(|u| !u.is_empty()),
            hostname: hostname(self.hostname.as_deref())?,
            ..ProcessOptions::default()
        })
    }

    fn mounts(&self, cwd: &Path) -> Result<Vec<MountOption>> {
        let volumes = self.volume.iter().map(|text| parse::volume::parse(text, cwd));
        let tmpfs = self.tmpfs.iter().map(|text| parse::volume::tmpfs(text));
        let all: Vec<MountOption> = volumes.chain(tmpfs).collect::<Result<_>>()?;
        refuse_twice(&all)?;
        Ok(all)
    }
}
