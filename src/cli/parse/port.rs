//! `-p [ip:][host[-host2]]:ctr[-ctr2][/tcp|udp|sctp]`: no host port = one that is free when the container is made (0 here).

use crate::error::{Error, Result};
use crate::ondisk::container::PortMapping;

const EXAMPLE: &str = "--publish 127.0.0.1:8080:80/tcp";

/// All mappings of one `-p`.
pub fn publish(text: &str) -> Result<Vec<PortMapping>> {
    let bad = |why: &str| super::invalid("port mapping", text, why, EXAMPLE);
    let (ports, protocol) = split_protocol(text)?;
    let (host_ip, ports) = match ports.strip_prefix('[') {
        Some(rest) => {
            let (ip, rest) = rest.split_once("]:").ok_or_else(|| bad("an IPv6 address wants `[…]:`"))?;
            (ip, rest)
        }
        None => match ports.matches(':').count() {
            0 | 1 => ("", ports),
            2 => ports.split_once(':').unwrap_or(("", ports)),
            _ => return Err(bad("too many colons; an IPv6 address stands in brackets")),
        },
    };
    if !host_ip.is_empty() && host_ip.parse::<std::net::IpAddr>().is_err() {
        return Err(bad("the host address is not an IP address"));
    }
    let (host, container) = ports.split_once(':').unwrap_or(("", ports));
    let container =
        range(container).ok_or_else(|| bad("the container's port is not a number from 1 to 65535"))?;
    let host = match host {
        "" | "0" => None,
        host => Some(range(host).ok_or_else(|| bad("the host's port is not a number from 1 to 65535"))?),
    };
    if host.is_some_and(|(first, last)| last - first != container.1 - container.0) {
        return Err(bad("the two ranges are not of the same length"));
    }
    Ok((container.0..=container.1)
        .map(|container_port| PortMapping {
            host_ip: host_ip.to_owned(),
            host_port: host.map_or(0, |(first, _)| first + (container_port - container.0)),
            container_port,
            protocol: protocol.clone(),
        })
        .collect())
}

/// `--expose 80[-90][/udp]` as `80/udp`, one by one.
pub fn expose(text: &str) -> Result<Vec<String>> {
    let (ports, protocol) = split_protocol(text)?;
    let (first, last) = range(ports).ok_or_else(|| {
        super::invalid("port", text, "not a number or a range from 1 to 65535", "--expose 80/tcp")
    })?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

/// Two mappings of the same host address are a mistake that would only show at the start.
pub fn check_unique(ports: &[PortMapping]) -> Result<()> {
    for (at, port) in ports.iter().enumerate().filter(|(_, p)| p.host_port != 0) {
        let same = |o: &&PortMapping| {
            o.host_port == port.host_port && o.protocol == port.protocol && o.host_ip == port.host_ip
        };
        if ports.iter().take(at).any(|other| same(&other)) {
            return Err(Error::usage(format_args!(
                "host port {}/{} is published twice",
                port.host_port, port.protocol
            )));
        }
    }
    Ok(())
}

fn split_protocol(text: &str) -> Result<(&str, String)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    match protocol.as_str() {
        "tcp" | "udp" | "sctp" => Ok((ports, protocol)),
        _ => Err(super::invalid("port mapping", text, "the protocol is not tcp, udp or sctp", EXAMPLE)),
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(text: &str) -> Vec<String> {
        let show =
            |p: PortMapping| format!("{}|{}|{}|{}", p.host_ip, p.host_port, p.container_port, p.protocol);
        publish(text).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn all_forms() {
        assert_eq!(short("8080:80"), ["|8080|80|tcp"]);
        assert_eq!(short("80"), ["|0|80|tcp"]);
        assert_eq!(short(":80/udp"), ["|0|80|udp"]);
        assert_eq!(short("127.0.0.1:8080:80"), ["127.0.0.1|8080|80|tcp"]);
        assert_eq!(short("127.0.0.1::80"), ["127.0.0.1|0|80|tcp"]);
        assert_eq!(short("[::1]:8080:80"), ["::1|8080|80|tcp"]);
        assert_eq!(short("8000-8002:90-92/SCTP"), ["|8000|90|sctp", "|8001|91|sctp", "|8002|92|sctp"]);
    }

    #[test]
    fn bad_forms_are_refused() {
        for bad in [
            "",
            ":",
            "x:80",
            "0",
            "8080:0",
            "70000:80",
            "1-3:5-6",
            "a:1:2",
            "::1:80:80",
            "80/icmp",
            "5-1:5-1",
            "+5:80",
        ] {
            assert!(publish(bad).is_err(), "{bad}");
        }
        let twice = [publish("80:80").unwrap(), publish("80:81").unwrap()].concat();
        assert!(check_unique(&twice).is_err());
        assert!(check_unique(&publish("80-90").unwrap()).is_ok());
    }
}
