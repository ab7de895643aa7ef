//! The files that coracle writes for a container and binds over the image's: hosts, resolv.conf, hostname, .containerenv.

use super::options::CreateOptions;
use super::specgen::ManagedFiles;
use crate::error::{Context, Result};
use crate::id::{ContainerId, ContainerName};
use crate::network::{hosts, resolv};
use crate::ondisk::container::{Network, NetworkMode};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::Path;

/// What the files are made from.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where they are written now, and where that directory will be.
    pub staged: &'a OwnedFd,
    pub container_dir: &'a Path,
    pub options: &'a CreateOptions,
    pub hostname: &'a str,
    pub name: &'a ContainerName,
    pub id: &'a ContainerId,
    pub network: &'a Network,
    pub image: &'a str,
    /// One id is mapped, and the image has apt.
    pub single_with_apt: bool,
}

/// Where apt reads its configuration.
pub const APT_CONF_DIR: &str = "/etc/apt/apt.conf.d";

/// apt gives up its identity for a download and then asks whether it has: with one id it has not.
const APT_CONF: &str = "// One user id is mapped in this container: apt cannot become another user.\nAPT::Sandbox::User \"root\";\n";

/// Writes them; returns the host paths that they will have.
pub fn write(request: &Request<'_>) -> Result<ManagedFiles> {
    let network = &request.options.network;
    let mut files = ManagedFiles::default();
    if !network.no_hosts {
        files.hosts = Some(put(request, "hosts", &hosts_text(request)?)?);
    }
    if network.dns.first().is_none_or(|dns| dns != "none") {
        files.resolv_conf = Some(put(request, "resolv.conf", &resolv_text(request))?);
    }
    if !network.no_hostname {
        files.hostname = Some(put(request, "hostname", &format!("{}\n", request.hostname))?);
    }
    if request.single_with_apt {
        files.apt_conf = Some(put(request, "apt.conf", APT_CONF)?);
    }
    files.containerenv = Some(put(request, "containerenv", &containerenv(request))?);
    Ok(files)
}

fn hosts_text(request: &Request<'_>) -> Result<String> {
    let shares_host = request.network.mode == NetworkMode::Host;
    let base =
        if shares_host { std::fs::read_to_string("/etc/hosts").unwrap_or_default() } else { String::new() };
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

/// What toolbox and others read (podman's keys).
fn containerenv(request: &Request<'_>) -> String {
    if !request.options.security.privileged {
        return String::new();
    }
    let (name, id, image) = (request.name, request.id, request.image);
    format!("engine=\"coracle\"\nname=\"{name}\"\nid=\"{id}\"\nimage=\"{image}\"\nrootless=1\n")
}

fn put(request: &Request<'_>, name: &str, text: &str) -> Result<String> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(request.staged, name, flags, Mode::from(0o644))
        .call(|| format!("openat({name:?}, O_CREAT)"))?;
    // The umask of the caller must not hide it from other users of the container.
    rustix::fs::fchmod(&fd, Mode::from(0o644)).call(|| format!("fchmod({name:?})"))?;
    std::fs::File::from(fd)
        .write_all(text.as_bytes())
        .call(|| format!("write({name:?})"))
        .what(|| format!("cannot write {name}"))?;
    Ok(request.container_dir.join(name).to_string_lossy().into_owned())
}
