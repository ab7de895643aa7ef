//! Networks of a container: the helper, its tap device, ports, ping, the host's own resolver.

use super::child::Child;
use super::{Probe, Report, install_command, sysctl};
use crate::external::Tool;
use crate::network::ports;
use crate::paths;
use std::ffi::OsString;

const SLIRP4NETNS: Tool = Tool {
    name: "slirp4netns",
    needed_to: "give a container a network of its own",
    packages: ["slirp4netns", "slirp4netns", "slirp4netns"],
    search_path: true,
};

pub(super) fn probe(child: Option<&Child>, report: &mut Report) {
    let tap = child.map(|child| child.ask("open /dev/net/tun"));
    report.probes.push(helper(matches!(tap, Some(Ok(())))));
    if let Some(Err(e)) = &tap {
        report.probes.push(
            Probe::warn("tun", format!("/dev/net/tun cannot be used ({e})"))
                .fix_as_root("modprobe tun && chmod 666 /dev/net/tun")
                .meanwhile("--network host and --network none work"),
        );
    } else if tap.is_some() {
        report.probes.push(Probe::pass("tun", "/dev/net/tun opens"));
    }
    if matches!(tap, Some(Ok(()))) && SLIRP4NETNS.locate().is_some() {
        report.abilities.networks.push("slirp4netns");
    }
    report.abilities.first_port = ports::unprivileged_start();
    report.probes.push(low_ports(report.abilities.first_port));
    report.probes.push(ping());
    report.probes.push(resolver());
    report.probes.push(proxy());
}

fn helper(tap_works: bool) -> Probe {
    let meanwhile = "--network host and --network none work";
    let Some(path) = SLIRP4NETNS.locate() else {
        return Probe::warn("network", "slirp4netns is not installed: no network of its own for a container")
            .fix_as_root(install_command(SLIRP4NETNS.packages))
            .meanwhile(meanwhile);
    };
    match SLIRP4NETNS.run([OsString::from("--version")]) {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let version = text.lines().next().unwrap_or("slirp4netns").trim().to_owned();
            let note = if tap_works { "" } else { "; it needs /dev/net/tun" };
            Probe::pass("network", format!("{version} ({}){note}", path.display()))
        }
        Err(e) => Probe::warn("network", format!("{} does not start ({e})", path.display()))
            .fix_as_root(install_command(SLIRP4NETNS.packages))
            .meanwhile(meanwhile),
    }
}

fn low_ports(first: u16) -> Probe {
    if first <= 80 {
        return Probe::pass("ports", format!("ports from {first} on can be published"));
    }
    // Closed low ports are the usual state of a healthy machine.
    Probe::pass(
        "ports",
        format!("ports from {first} on can be published (net.ipv4.ip_unprivileged_port_start)"),
    )
}

/// In its own network a container sets this for itself; on the host's network the host's value counts.
fn ping() -> Probe {
    let text = std::fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").unwrap_or_default();
    let mut range = text.split_whitespace().map(str::parse::<u64>);
    let gid = u64::from(rustix::process::getegid().as_raw());
    match (range.next(), range.next()) {
        (Some(Ok(first)), Some(Ok(last))) if (first..=last).contains(&gid) => {
            Probe::pass("ping", "ping works on the host's network too")
        }
        _ => Probe::pass(
            "ping",
            format!(
                "on --network host ping needs net.ipv4.ping_group_range to hold gid {gid} (it is {:?})",
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        ),
    }
}

fn resolver() -> Probe {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let servers: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("nameserver ")).map(str::trim).collect();
    if servers.is_empty() {
        return Probe::warn("dns", "/etc/resolv.conf names no nameserver: names cannot be looked up")
            .fix_as_root("printf 'nameserver 9.9.9.9\\n' > /etc/resolv.conf")
            .meanwhile("--dns ADDRESS gives a container a nameserver");
    }
    let v6 = if sysctl("net.ipv6.conf.all.disable_ipv6") == Some(0) { "" } else { "; no IPv6" };
    Probe::pass("dns", format!("nameservers {}{v6}", servers.join(", ")))
}

fn proxy() -> Probe {
    let set = ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    match set.into_iter().find_map(|name| Some((name, paths::env(name)?))) {
        Some((name, _)) => Probe::pass("proxy", format!("{name} is set: registries are asked through it")),
        None => Probe::pass("proxy", "none set"),
    }
}
