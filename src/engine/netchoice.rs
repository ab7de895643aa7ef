//! Which network a container gets when nothing was said, and whether the one that was asked for can be had.
//!
//! Default: `host:` has none; an image gets slirp4netns where the program and /dev/net/tun are there, else none, with a
//! warning that is said once. Ports need a helper: without one they are refused, never dropped.

use super::options::CreateOptions;
use super::source::Prepared;
use crate::error::{Error, Result};
use crate::external::slirp4netns::SLIRP4NETNS;
use crate::ondisk::container::{Network, NetworkMode, PortMapping};
use crate::paths::Dirs;

/// The network, and a warning.
pub fn decide(dirs: &Dirs, options: &CreateOptions, source: &Prepared) -> Result<(Network, Option<String>)> {
    let asked = &options.network;
    let ports = ports(options, source)?;
    let (mode, warning) = match &asked.mode {
        Some(mode) => (mode.clone(), None),
        None if source.name == "host:" && ports.is_empty() => (NetworkMode::None, None),
        None => default_mode(),
    };
    match &mode {
        NetworkMode::Slirp4netns { .. } => {
            SLIRP4NETNS.find()?;
            if let Some(why) = no_tun() {
                return Err(Error::host("cannot give the container a network by slirp4netns").cause(why).hint(
                    "Open the device as root with `chmod 0666 /dev/net/tun`, or use --network none or --network host.",
                ));
            }
            can_forward(&ports)?;
            crate::network::ports::check_free(&ports)?;
        }
        NetworkMode::Pasta { .. } => {
            return Err(Error::usage("network mode pasta is not supported yet")
                .hint("Use --network slirp4netns, which needs the program slirp4netns."));
        }
        NetworkMode::None | NetworkMode::Host if !ports.is_empty() => {
            let error =
                Error::usage("cannot publish ports").cause("this network mode has no port forwarding");
            return Err(match warning {
                Some(why) => error.cause(why),
                None => error.hint("Leave --network out, or use --network slirp4netns."),
            });
        }
        NetworkMode::None | NetworkMode::Host => {}
    }
    let warning = warning.and_then(|text| super::notice::once(dirs, "network", text));
    Ok((Network { mode, ports }, warning))
}

/// slirp4netns forwards TCP and UDP from IPv4 addresses of the host, nothing else.
fn can_forward(ports: &[PortMapping]) -> Result<()> {
    for port in ports {
        if port.host_ip.contains(':') {
            return Err(Error::usage(format_args!(
                "cannot publish port {} on {}",
                port.host_port, port.host_ip
            ))
            .cause("slirp4netns publishes ports on IPv4 addresses only")
            .hint(format_args!(
                "Leave the address out for all of IPv4: `-p {}:{}`; or use --network host.",
                port.host_port, port.container_port
            )));
        }
        if !matches!(port.protocol.as_str(), "tcp" | "udp") {
            return Err(Error::usage(format_args!(
                "cannot publish port {}/{}",
                port.host_port, port.protocol
            ))
            .cause("slirp4netns publishes TCP and UDP only")
            .hint("Use --network host, where the container's ports are the host's."));
        }
    }
    Ok(())
}

fn default_mode() -> (NetworkMode, Option<String>) {
    let why = if SLIRP4NETNS.locate().is_none() {
        "slirp4netns is not installed".to_owned()
    } else if let Some(why) = no_tun() {
        why
    } else {
        return (NetworkMode::Slirp4netns { options: Vec::new() }, None);
    };
    (
        NetworkMode::None,
        Some(format!("containers have no network ({why}); use --network host to share the host's")),
    )
}

fn no_tun() -> Option<String> {
    use crate::sys::CallContext;
    let access =
        rustix::fs::access("/dev/net/tun", rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK);
    access.call(|| "open(\"/dev/net/tun\")").err().map(|e| e.to_string())
}

/// The ports, with a free host port where none was given, and all the exposed ones for -P.
fn ports(options: &CreateOptions, source: &Prepared) -> Result<Vec<PortMapping>> {
    let mut ports = options.network.ports.clone();
    if options.network.publish_all {
        let exposed = source.image.exposed_ports.iter().chain(&options.network.expose);
        for (port, protocol) in exposed.filter_map(|text| parse_exposed(text)) {
            if !ports.iter().any(|p| p.container_port == port && p.protocol == protocol) {
                ports.push(PortMapping {
                    host_ip: String::new(),
                    host_port: 0,
                    container_port: port,
                    protocol,
                });
            }
        }
    }
    for port in ports.iter_mut().filter(|p| p.host_port == 0) {
        port.host_port = crate::network::ports::pick_free(&port.protocol)?;
    }
    Ok(ports)
}

fn parse_exposed(text: &str) -> Option<(u16, String)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol.to_owned()))
}
