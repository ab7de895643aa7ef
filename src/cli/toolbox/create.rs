//! `coracle toolbox create`.

use super::distro::DistroFlags;
use crate::cli::flags::mounts::DeviceFlags;
use crate::cli::{App, parse, ui};
use crate::engine::options::{MountKind, MountOption, PullPolicy};
use crate::error::{Error, Result};
use crate::id::ContainerName;
use crate::ondisk::toolbox::{Home, Turn};
use crate::toolbox::{self, create::Wanted};
use std::path::Path;

/// Make a box from any image
///
/// Without --image it is the image of a distribution, this machine's own if none is named; the names are toolbox's.
/// Nothing is installed and no network is used once the image is here: user, home, shell, sudo, hosts and time zone come
/// from coracle. Prints the box's name.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Image: a name, an id, oci:DIR, docker-archive:FILE
    #[arg(short, long, value_name = "IMAGE", conflicts_with_all = ["distro", "release"])]
    pub image: Option<String>,
    #[command(flatten)]
    pub distro: DistroFlags,
    /// Whose home: host, own (a new one at the same path, removed with the box), or overlay (the host's, with what the box
    /// changes kept apart: see toolbox home)
    #[arg(long, value_name = "host|own|overlay")]
    pub home: Option<String>,
    /// For what you do not trust: no file, process, network or variable of the host's, and its own home
    #[arg(long, conflicts_with = "read_only_host")]
    pub isolate: bool,
    /// Show the host's files read-only, except home, /tmp and /dev. Against accidents: the box's root can undo it
    #[arg(long)]
    pub read_only_host: bool,
    /// Start the image's init (systemd) in the box, with processes, /run, /tmp and devices of its own; enter waits for it
    #[arg(long)]
    pub init: bool,
    #[command(flatten)]
    pub devices: DeviceFlags,
    /// Mount a directory or file of the host's, or a named volume, as for run
    #[arg(short, long, value_name = "[SRC:]PATH[:OPTS]")]
    pub volume: Vec<String>,
    /// Let `coracle host` in the box run commands on the host, as you; all other commands of coracle act on the host's
    /// containers then, and so do xdg-open and `flatpak-spawn --host` where the image has none
    #[arg(long)]
    pub host_exec: bool,
    /// Name; else the image's or the distribution's
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let wanted = wanted(args, app)?;
    let dirs = app.dirs()?;
    let who = toolbox::identity::caller(&dirs)?;
    let created = toolbox::create::create(&dirs, &wanted, &who)?;
    created.warnings.iter().for_each(ui::warn);
    ui::line(&created.container.name)?;
    Ok(0)
}

/// The box that these flags describe.
pub fn wanted(args: &Args, app: &App) -> Result<Wanted> {
    let (image, usual) = match &args.image {
        Some(image) => (image.clone(), name_of(image)),
        None => {
            let choice = args.distro.choice()?;
            (choice.image, choice.name)
        }
    };
    let name = args.name.clone().unwrap_or(usual);
    ContainerName::parse(&name)?;
    if image == "host:" {
        return Err(Error::usage("a box cannot be made from host:").hint("Name an image: `--image debian`."));
    }
    if args.isolate && args.host_exec {
        return Err(Error::usage("an isolated box cannot run the host's commands")
            .hint("Leave out --isolate, or --host-exec."));
    }
    let (volumes, mounts) = volumes(&args.volume, &app.cwd()?)?;
    Ok(Wanted {
        shown: name.clone(),
        name,
        turn: Turn::Current,
        image,
        home: home(args)?,
        isolated: args.isolate,
        read_only_host: args.read_only_host,
        init: args.init,
        devices: args.devices.to_options()?,
        volumes,
        mounts,
        host_exec: args.host_exec,
        dev: None,
        pull: PullPolicy::Missing,
        driver: app.globals.storage_driver()?,
        argv: app.argv.clone(),
    })
}

fn home(args: &Args) -> Result<Home> {
    match args.home.as_deref() {
        None if args.isolate => Ok(Home::Own),
        Some("host") if args.isolate => Err(Error::usage("an isolated box cannot have the host's home")
            .hint("Leave out --isolate, or --home host.")),
        None | Some("host") => Ok(Home::Host),
        Some("own") => Ok(Home::Own),
        Some("overlay") if args.isolate => Err(Error::usage("an isolated box cannot have the host's home")
            .hint("Leave out --isolate, or --home overlay.")),
        Some("overlay") => Ok(Home::Overlay),
        Some(other) => Err(parse::invalid("--home", other, "one of host, own, overlay", "--home own")),
    }
}

/// As text with absolute paths, which means the same from everywhere, and as mounts.
pub fn volumes(flags: &[String], cwd: &Path) -> Result<(Vec<String>, Vec<MountOption>)> {
    let mounts: Vec<MountOption> =
        flags.iter().map(|text| parse::volume::parse(text, cwd)).collect::<Result<_>>()?;
    let absolute = |(text, mount): (&String, &MountOption)| match (&mount.kind, text.split_once(':')) {
        (MountKind::Bind(path), Some((_, rest))) => format!("{path}:{rest}"),
        _ => text.clone(),
    };
    Ok((flags.iter().zip(&mounts).map(absolute).collect(), mounts))
}

/// `registry/debian:13` → `debian-13`, `registry/debian:latest` → `debian`.
fn name_of(image: &str) -> String {
    let last = image.trim_end_matches('/').rsplit('/').next().unwrap_or(image);
    let last = last.split('@').next().unwrap_or(last);
    let name = match last.rsplit_once(':') {
        Some((name, "latest")) => name.to_owned(),
        Some((name, tag)) => format!("{name}-{tag}"),
        None => last.to_owned(),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_box_is_called_like_its_image() {
        for (image, name) in [
            ("debian", "debian"),
            ("r:5/x/debian:13", "debian-13"),
            ("oci:/tmp/bb", "bb"),
            ("a:latest", "a"),
            ("a@sha256:1", "a"),
        ] {
            assert_eq!(super::name_of(image), name);
        }
    }
}
