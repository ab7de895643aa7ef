//! The files that coracle writes for a container and binds over the image's: hosts, resolv.conf, hostname, .containerenv, localtime.

use super::options::{CreateOptions, UsernsMode};
use super::specgen::ManagedFiles;
use super::view::View;
use crate::error::{Context, Error, Result};
use crate::id::{ContainerId, ContainerName};
use crate::network::{hosts, resolv};
use crate::ondisk::container::{Network, NetworkMode};
use crate::sys::CallContext;
use crate::userns::subid;
use rustix::fs::{Mode, OFlags};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What the files are made from.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where they will be.
    pub container_dir: &'a Path,
    pub options: &'a CreateOptions,
    /// The image's files.
    pub view: &'a View,
    pub hostname: &'a str,
    pub name: &'a ContainerName,
    pub id: &'a ContainerId,
    pub network: &'a Network,
    pub image: &'a str,
    /// One id is mapped, and the image has apt.
    pub single_with_apt: bool,
    pub image_id: Option<&'a str>,
}

/// Where apt reads its configuration.
pub const APT_CONF_DIR: &str = "/etc/apt/apt.conf.d";

/// apt gives up its identity for a download and then asks whether it has: with one id it has not.
const APT_CONF: &str = "// One user id is mapped in this container: apt cannot become another user.\nAPT::Sandbox::User \"root\";\n";

/// Largest passwd or group file that is taken over from an image.
const MAX_NAMES: u64 = 1 << 20;

/// The image's passwd and group with the user's own lines in front: the first one of a name or a number counts.
fn names_of_mine(request: &Request<'_>) -> (Vec<u8>, Vec<u8>) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let name = subid::user_name(uid).unwrap_or_else(|| format!("user{uid}"));
    let env = &request.options.process.env;
    let home = env.iter().find(|(name, _)| name == "HOME").map_or("/", |(_, home)| home);
    // A line of passwd has no escapes.
    let home = if home.contains([':', '\n']) { "/" } else { home };
    let with = |line: String, path| [line.into_bytes(), request.view.read(path, MAX_NAMES)].concat();
    (
        with(format!("{name}:x:{uid}:{gid}::{home}:/bin/sh\n"), "/etc/passwd"),
        with(format!("{name}:x:{gid}:\n"), "/etc/group"),
    )
}

/// The files, and the host paths that they will have.
#[derive(Debug, Default)]
pub struct Files {
    pub paths: ManagedFiles,
    texts: Vec<(&'static str, Vec<u8>)>,
}

impl Files {
    fn put(&mut self, request: &Request<'_>, name: &'static str, text: impl Into<Vec<u8>>) -> Option<String> {
        self.texts.push((name, text.into()));
        Some(request.container_dir.join(name).to_string_lossy().into_owned())
    }

    /// Writes them into this directory.
    pub fn write(&self, dir: &OwnedFd) -> Result<()> {
        self.texts.iter().try_for_each(|(name, text)| write(dir, name, text))
    }
}

/// Makes them up.
pub fn make(request: &Request<'_>) -> Result<Files> {
    let network = &request.options.network;
    let mut files = Files::default();
    if !network.no_hosts {
        files.paths.hosts = files.put(request, "hosts", hosts_text(request)?);
    }
    if network.dns.first().is_none_or(|dns| dns != "none") {
        files.paths.resolv_conf = files.put(request, "resolv.conf", resolv_text(request));
    }
    if !network.no_hostname {
        files.paths.hostname = files.put(request, "hostname", format!("{}\n", request.hostname));
    }
    if request.single_with_apt {
        files.paths.apt_conf = files.put(request, "apt.conf", APT_CONF);
    }
    if let Some(zone) = &request.options.process.timezone {
        files.paths.localtime = files.put(request, "localtime", localtime(zone)?);
    }
    if request.options.namespaces.userns == UsernsMode::OnlyMe {
        let (passwd, group) = names_of_mine(request);
        files.paths.passwd = files.put(request, "passwd", passwd);
        files.paths.group = files.put(request, "group", group);
    }
    files.paths.containerenv = files.put(request, "containerenv", containerenv(request));
    Ok(files)
}

fn hosts_text(request: &Request<'_>) -> Result<String> {
    // The host's own names mean the same in the container (podman's base_hosts_file), unless it can reach nobody.
    let base = match request.network.mode {
        NetworkMode::None => String::new(),
        _ => std::fs::read_to_string("/etc/hosts").unwrap_or_default(),
    };
    let (address, gateway) = match request.network.mode {
        NetworkMode::Slirp4netns { .. } => {
            (Some(hosts::SLIRP4NETNS_ADDRESS), Some(hosts::SLIRP4NETNS_GATEWAY))
        }
        NetworkMode::Host => (None, Some("127.0.0.1")),
        _ => (None, None),
    };
    hosts::render(&hosts::Request {
        base: &base,
        address,
        names: &[request.hostname, request.name.as_str()],
        gateway,
        added: &request.options.network.add_hosts,
    })
}

fn resolv_text(request: &Request<'_>) -> String {
    let network = &request.options.network;
    // A container that cannot reach anything has nobody to ask (CVE-2024-29018).
    let host = match request.network.mode {
        NetworkMode::None => String::new(),
        _ => std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
    };
    let slirp = matches!(request.network.mode, NetworkMode::Slirp4netns { .. });
    resolv::render(&resolv::Request {
        host: &host,
        forwarder: slirp.then_some(resolv::SLIRP4NETNS_DNS),
        host_network: request.network.mode == NetworkMode::Host,
        servers: &network.dns,
        search: &network.dns_search,
        options: &network.dns_options,
    })
}

/// The host's data of a time zone: the image may have none. `local` is the host's own zone.
fn localtime(zone: &str) -> Result<Vec<u8>> {
    let plain = |part: &str| !matches!(part, "" | "." | "..");
    let path = match zone {
        "local" => PathBuf::from("/etc/localtime"),
        name if name.split('/').all(plain) => Path::new("/usr/share/zoneinfo").join(name),
        _ => return Err(unknown_zone(zone)),
    };
    let data = std::fs::read(&path).map_err(|_| unknown_zone(zone))?;
    data.starts_with(b"TZif").then_some(data).ok_or_else(|| unknown_zone(zone))
}

fn unknown_zone(zone: &str) -> Error {
    Error::usage(format_args!("unknown time zone {zone:?}"))
        .hint("List the names with `timedatectl list-timezones`; `local` is this machine's own.")
}

/// What toolbox and others read (podman's keys).
fn containerenv(request: &Request<'_>) -> String {
    if !request.options.security.privileged {
        return String::new();
    }
    let (name, id, image) = (request.name, request.id, request.image);
    let image_id = request.image_id.unwrap_or_default();
    format!(
        "engine=\"coracle\"\nname=\"{name}\"\nid=\"{id}\"\nimage=\"{image}\"\nimageid=\"{image_id}\"\nrootless=1\n"
    )
}

fn write(dir: &OwnedFd, name: &str, text: &[u8]) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::from(0o644))
        .call(|| format!("openat({name:?}, O_CREAT)"))?;
    // The umask of the caller must not hide it from other users of the container.
    rustix::fs::fchmod(&fd, Mode::from(0o644)).call(|| format!("fchmod({name:?})"))?;
    std::fs::File::from(fd)
        .write_all(text)
        .call(|| format!("write({name:?})"))
        .what(|| format!("cannot write {name}"))
}
