//! Checks published ports before anything of the container exists: taken, below the privileged limit, no such address.
//!
//! A bind test is no reservation: the helper's own bind decides, and its failure is reported then. The test makes the
//! common mistakes an early error with a port that works.

use crate::error::{Error, Result};
use crate::ondisk::container::PortMapping;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// The first port that anybody may bind, where the kernel does not say.
const DEFAULT_START: u16 = 1024;
/// How many ports above the wish are tried for the hint.
const TRIES: u16 = 100;

/// Fails for the first port that the network helper could not bind.
pub fn check_free(ports: &[PortMapping]) -> Result<()> {
    let start = unprivileged_start();
    for (index, port) in ports.iter().enumerate().filter(|(_, port)| port.host_port != 0) {
        if ports.iter().take(index).any(|other| same_end(other, port)) {
            return Err(Error::usage(format_args!("cannot publish host port {} twice", port.host_port))
                .cause(format_args!("-p {} and another -p share it", spelled(port, port.host_port))));
        }
        // The helper lives in a user namespace, so the limit holds for root too.
        if port.host_port < start {
            return Err(privileged(port, start));
        }
        if let Err(e) = bind(port, port.host_port)? {
            return Err(explain(port, start, &e));
        }
    }
    Ok(())
}

/// A port that is free now, for `-p 80` without a host port.
pub fn pick_free(protocol: &str) -> Result<u16> {
    use crate::sys::CallContext;
    let any = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
    let address = match protocol {
        "udp" => UdpSocket::bind(any).and_then(|socket| socket.local_addr()),
        _ => TcpListener::bind(any).and_then(|socket| socket.local_addr()),
    };
    Ok(address.call(|| "bind(0.0.0.0:0)")?.port())
}

/// `net.ipv4.ip_unprivileged_port_start`.
pub fn unprivileged_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_START)
}

/// Both would bind the same port. An empty address is every address.
fn same_end(a: &PortMapping, b: &PortMapping) -> bool {
    let any = |ip: &str| matches!(ip, "" | "0.0.0.0" | "::");
    let meet = a.host_ip == b.host_ip || any(&a.host_ip) || any(&b.host_ip);
    a.host_port == b.host_port && a.protocol == b.protocol && meet
}

/// The outer error: the address cannot be parsed; the inner: the kernel refuses.
fn bind(port: &PortMapping, number: u16) -> Result<std::io::Result<()>> {
    let ip: IpAddr = match port.host_ip.as_str() {
        "" => Ipv4Addr::UNSPECIFIED.into(),
        text => text.parse().map_err(|_| {
            Error::usage(format_args!("invalid address {text:?} of a published port"))
                .hint(format_args!("Write it as `-p 127.0.0.1:{}:{}`.", port.host_port, port.container_port))
        })?,
    };
    let address = SocketAddr::new(ip, number);
    Ok(match port.protocol.as_str() {
        "tcp" => TcpListener::bind(address).map(drop),
        "udp" => UdpSocket::bind(address).map(drop),
        _ => Ok(()),
    })
}

fn privileged(port: &PortMapping, start: u16) -> Error {
    Error::host(format_args!("cannot publish port {}", port.host_port))
        .cause(format_args!(
            "ports below {start} are closed to ordinary users (net.ipv4.ip_unprivileged_port_start={start})"
        ))
        .hint(format_args!("Choose a higher one: `-p {}`.", alternative(port, start)))
        .hint(format_args!(
            "Or open it, as root: `sysctl net.ipv4.ip_unprivileged_port_start={}`.",
            port.host_port
        ))
}

fn explain(port: &PortMapping, start: u16, error: &std::io::Error) -> Error {
    let at = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
    let call = format!("bind({at}:{}/{})", port.host_port, port.protocol);
    match error.raw_os_error() {
        Some(libc::EADDRINUSE) => {
            let who = user_of(&port.protocol, port.host_port).unwrap_or_else(|| "another process".to_owned());
            Error::in_use(format_args!("cannot publish port {}: it is in use", port.host_port))
                .cause(format_args!("{call}: {who} has it"))
                .hint(format_args!("Choose another one, for example `-p {}`.", alternative(port, start)))
        }
        Some(libc::EADDRNOTAVAIL) => Error::usage(format_args!("cannot publish port {}", port.host_port))
            .cause(format_args!("{call}: no interface of this machine has the address {at}"))
            .hint("List the addresses with `ip -brief address`."),
        _ => Error::host(format_args!("cannot publish port {}", port.host_port))
            .cause(format_args!("{call}: {error}"))
            .hint(format_args!("Choose another one, for example `-p {}`.", alternative(port, start))),
    }
}

/// The same `-p` with a host port that is free now: 80 → 8080, 443 → 8443, 8080 → 8081.
fn alternative(port: &PortMapping, start: u16) -> String {
    let wish = match port.host_port {
        80 => 8080,
        low if low < start => low.saturating_add(8000),
        taken => taken.saturating_add(1),
    };
    let free = (wish..=wish.saturating_add(TRIES)).find(|number| {
        let ours = PortMapping { host_port: *number, ..port.clone() };
        *number >= start && bind(&ours, *number).is_ok_and(|bound| bound.is_ok())
    });
    spelled(port, free.unwrap_or(wish))
}

/// As the user writes it after `-p`.
fn spelled(port: &PortMapping, host_port: u16) -> String {
    let ip = match port.host_ip.as_str() {
        "" | "0.0.0.0" => String::new(),
        v6 if v6.contains(':') => format!("[{v6}]:"),
        v4 => format!("{v4}:"),
    };
    let protocol = if port.protocol == "tcp" { "" } else { "/udp" };
    format!("{ip}{host_port}:{}{protocol}", port.container_port)
}

/// Who holds a port: the name and pid of a process of ours, else the uid.
fn user_of(protocol: &str, port: u16) -> Option<String> {
    let (uid, inode) = ["", "6"].iter().find_map(|family| {
        let table = std::fs::read_to_string(format!("/proc/net/{protocol}{family}")).ok()?;
        holder(&table, port, protocol == "tcp")
    })?;
    Some(process_with(&format!("socket:[{inode}]")).unwrap_or_else(|| format!("a process of uid {uid}")))
}

/// uid and inode of the socket that listens on `port`, from a table of /proc/net.
fn holder(table: &str, port: u16, listening: bool) -> Option<(u32, u64)> {
    const LISTEN: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, hex) = fields.get(1)?.rsplit_once(':')?;
        let matches =
            u16::from_str_radix(hex, 16) == Ok(port) && (!listening || fields.get(3) == Some(&LISTEN));
        matches.then(|| Some((fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?)))?
    })
}

fn process_with(link: &str) -> Option<String> {
    let pids = std::fs::read_dir("/proc").ok()?.filter_map(std::result::Result::ok).map(|entry| entry.path());
    pids.filter(|dir| {
        dir.file_name().is_some_and(|name| name.to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
    })
    .find(|dir| {
        std::fs::read_dir(dir.join("fd")).is_ok_and(|fds| {
            fds.filter_map(std::result::Result::ok)
                .any(|fd| std::fs::read_link(fd.path()).is_ok_and(|to| to.as_os_str() == link))
        })
    })
    .and_then(|dir| {
        let name = std::fs::read_to_string(dir.join("comm")).ok()?;
        Some(format!("{} (pid {})", name.trim(), dir.file_name()?.to_string_lossy()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(host_ip: &str, host_port: u16, protocol: &str) -> PortMapping {
        PortMapping { host_ip: host_ip.into(), host_port, container_port: 80, protocol: protocol.into() }
    }

    #[test]
    fn a_port_in_use_names_its_user_and_a_free_one() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = listener.local_addr().unwrap().port();
        let error = check_free(&[port("127.0.0.1", taken, "tcp")]).unwrap_err();
        assert_eq!(error.what(), format!("cannot publish port {taken}: it is in use"));
        assert!(error.causes()[0].contains(&format!("(pid {})", std::process::id())), "{error}");
        assert!(error.hints()[0].contains("`-p 127.0.0.1:"), "{error:?}");
        drop(listener);
        check_free(&[port("127.0.0.1", taken, "tcp")]).unwrap();
    }

    #[test]
    fn a_privileged_port_names_both_ways_out() {
        let error = privileged(&port("", 80, "tcp"), 1024);
        assert_eq!(error.what(), "cannot publish port 80");
        assert!(error.hints()[0].starts_with("Choose a higher one: `-p 8"), "{error:?}");
        assert!(error.hints()[1].contains("sysctl net.ipv4.ip_unprivileged_port_start=80"), "{error:?}");
    }

    #[test]
    fn one_port_cannot_be_published_twice() {
        assert!(check_free(&[port("", 18099, "tcp"), port("127.0.0.1", 18099, "tcp")]).is_err());
        assert!(!same_end(&port("", 5, "tcp"), &port("", 5, "udp")));
        assert!(!same_end(&port("127.0.0.1", 5, "tcp"), &port("127.0.0.2", 5, "tcp")));
    }

    #[test]
    fn a_random_port_and_other_protocols_are_left_to_the_helper() {
        check_free(&[port("", 0, "tcp"), port("", 0, "udp")]).unwrap();
        assert!(check_free(&[port("nonsense", 18098, "tcp")]).is_err());
        assert!(
            check_free(&[port("192.0.2.99", 18098, "tcp")]).unwrap_err().causes()[0].contains("no interface")
        );
    }

    #[test]
    fn the_holder_is_found_in_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0 100 0\n";
        assert_eq!(holder(table, 8080, true), Some((1000, 4711)));
        assert_eq!(holder(table, 8081, true), None);
    }

    #[test]
    fn ports_are_spelled_as_typed() {
        assert_eq!(spelled(&port("", 1, "tcp"), 8080), "8080:80");
        assert_eq!(spelled(&port("::1", 1, "udp"), 8080), "[::1]:8080:80/udp");
    }
}
