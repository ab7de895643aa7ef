//! The container's /etc/hosts: localhost, its own names, the host's name, `--add-host`. Pure text work.

use crate::error::{Error, Result};
use std::net::IpAddr;

/// The host's address as a container behind slirp4netns sees it.
pub const SLIRP4NETNS_GATEWAY: &str = "10.0.2.2";
/// A container's own address behind slirp4netns.
pub const SLIRP4NETNS_ADDRESS: &str = "10.0.2.100";

/// What the file is made from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Lines to begin with (the host's or the image's file); localhost lines are added when it has none.
    pub base: &'a str,
    /// The container's own address. None: no network, or the host's; then its names stand at 127.0.0.1.
    pub address: Option<&'a str>,
    /// Host name and container name; empty ones and repetitions are left out.
    pub names: &'a [&'a str],
    /// The host as the container sees it: `host.containers.internal` and `host-gateway`. None: not reachable.
    pub gateway: Option<&'a str>,
    /// `--add-host name[;name…]:address`, where the address may be `host-gateway`.
    pub added: &'a [(String, String)],
}

/// The text of the container's hosts file. The user's own lines stand first: the resolver takes the first match.
pub fn render(request: &Request<'_>) -> Result<String> {
    let mut text = String::new();
    for (names, address) in request.added {
        let address = resolve(names, address, request.gateway)?;
        let names: Vec<&str> = names.split(';').filter(|name| !name.is_empty()).collect();
        push(&mut text, address, &names);
    }
    let base = request.base.trim_end();
    if !base.is_empty() {
        text.push_str(base);
        text.push('\n');
    }
    if !names_in(request.base).any(|name| name == "localhost") {
        push(&mut text, "127.0.0.1", &["localhost", "localhost.localdomain"]);
        push(&mut text, "::1", &["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"]);
    }
    if let Some(gateway) = request.gateway {
        let taken: Vec<&str> = names_in(&text).collect();
        let free: Vec<&str> = ["host.containers.internal", "host.docker.internal"]
            .into_iter()
            .filter(|name| !taken.contains(name))
            .collect();
        push(&mut text, gateway, &free);
    }
    let mut own: Vec<&str> = Vec::new();
    for name in request.names.iter().filter(|name| !name.is_empty()) {
        if !own.contains(name) && !names_in(&text).any(|taken| taken == *name) {
            own.push(name);
        }
    }
    push(&mut text, request.address.unwrap_or("127.0.0.1"), &own);
    Ok(text)
}

fn resolve<'a>(names: &str, address: &'a str, gateway: Option<&'a str>) -> Result<&'a str> {
    if address == "host-gateway" {
        return gateway.ok_or_else(|| {
            Error::usage(format_args!("invalid --add-host {names}:{address}"))
                .cause("the container's network has no way to the host")
                .hint("Use --network slirp4netns, or give an address.")
        });
    }
    let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if plain.parse::<IpAddr>().is_err() {
        return Err(Error::usage(format_args!("invalid --add-host {names}:{address}"))
            .cause(format_args!("{address:?} is no IP address"))
            .hint("Write it as `--add-host name:192.0.2.1` or `--add-host name:host-gateway`."));
    }
    Ok(plain)
}

fn push(text: &mut String, address: &str, names: &[&str]) {
    if !names.is_empty() {
        text.push_str(address);
        text.push('\t');
        text.push_str(&names.join(" "));
        text.push('\n');
    }
}

/// Every name of the file.
fn names_in(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('#').next().unwrap_or_default().split_whitespace().skip(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request<'a>(added: &'a [(String, String)]) -> Request<'a> {
        Request {
            base: "",
            address: Some(SLIRP4NETNS_ADDRESS),
            names: &["web", "web", "brave_name"],
            gateway: Some(SLIRP4NETNS_GATEWAY),
            added,
        }
    }

    #[test]
    fn a_container_finds_itself_and_the_host() {
        let text = render(&request(&[])).unwrap();
        assert_eq!(
            text,
            "127.0.0.1\tlocalhost localhost.localdomain\n\
             ::1\tlocalhost localhost.localdomain ip6-localhost ip6-loopback\n\
             10.0.2.2\thost.containers.internal host.docker.internal\n\
             10.0.2.100\tweb brave_name\n"
        );
    }

    #[test]
    fn the_users_lines_win() {
        let added = [
            ("db;database".to_owned(), "192.0.2.7".to_owned()),
            ("host.docker.internal".to_owned(), "host-gateway".to_owned()),
            ("web".to_owned(), "[::1]".to_owned()),
        ];
        let text = render(&request(&added)).unwrap();
        assert!(
            text.starts_with("192.0.2.7\tdb database\n10.0.2.2\thost.docker.internal\n::1\tweb\n127.0.0.1"),
            "{text}"
        );
        assert!(text.contains("10.0.2.2\thost.containers.internal\n"), "{text}");
        assert!(text.ends_with("10.0.2.100\tbrave_name\n"), "{text}");
    }

    #[test]
    fn without_a_network_the_name_is_loopback() {
        let text = render(&Request { address: None, gateway: None, ..request(&[]) }).unwrap();
        assert!(text.ends_with("127.0.0.1\tweb brave_name\n"), "{text}");
        assert!(!text.contains("host.containers"), "{text}");
    }

    #[test]
    fn a_base_with_localhost_is_kept_as_it_is() {
        let base = "127.0.0.1 localhost # mine\n192.0.2.1 printer\n\n";
        let text = render(&Request { base, ..request(&[]) }).unwrap();
        assert!(text.starts_with("127.0.0.1 localhost # mine\n192.0.2.1 printer\n10.0.2.2"), "{text}");
    }

    #[test]
    fn addresses_are_checked() {
        for (address, gateway) in [("nonsense", Some("10.0.2.2")), ("host-gateway", None)] {
            let added = [("a".to_owned(), address.to_owned())];
            let error = render(&Request { gateway, ..request(&added) }).unwrap_err();
            assert!(error.what().starts_with("invalid --add-host a:"), "{error}");
        }
    }
}
