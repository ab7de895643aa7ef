//! The container's resolv.conf, from the host's and from `--dns`, `--dns-search`, `--dns-option`. Pure text work.
//!
//! In a network of its own a loopback nameserver of the host (systemd-resolved, dnsmasq) is out of reach: it is dropped,
//! and the helper's own forwarder stands first, which asks whatever the host asks, also after the host has changed network.

use std::net::IpAddr;

/// slirp4netns' DNS forwarder, with its default network 10.0.2.0/24.
pub const SLIRP4NETNS_DNS: &str = "10.0.2.3";

/// What the file is made from.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The host's /etc/resolv.conf.
    pub host: &'a str,
    /// The helper's forwarder. None: the container shares the host's network, or has none.
    pub forwarder: Option<&'a str>,
    /// The container has the host's own network: its loopback nameservers work.
    pub host_network: bool,
    /// `--dns`: replaces the nameservers. `none` leaves the image's file alone: the caller's to decide.
    pub servers: &'a [String],
    /// `--dns-search`: replaces the domains; a single `.` clears them.
    pub search: &'a [String],
    /// `--dns-option`: replaces the options.
    pub options: &'a [String],
}

/// The text of the container's resolv.conf.
pub fn render(request: &Request<'_>) -> String {
    let asked = !(request.servers.is_empty() && request.search.is_empty() && request.options.is_empty());
    if request.host_network && !asked {
        return request.host.to_owned();
    }
    let host = parse(request.host);
    let search = if request.search.is_empty() { &host.search } else { request.search };
    let options = if request.options.is_empty() { &host.options } else { request.options };
    let mut text = String::new();
    let mut line = |word: &str, values: &[String]| {
        if !values.is_empty() {
            text.push_str(word);
            values.iter().for_each(|value| {
                text.push(' ');
                text.push_str(value);
            });
            text.push('\n');
        }
    };
    line("search", if matches!(search, [only] if only == ".") { &[] } else { search });
    for server in nameservers(request, &host) {
        line("nameserver", &[server]);
    }
    line("options", options);
    text
}

fn nameservers(request: &Request<'_>, host: &Parsed) -> Vec<String> {
    if !request.servers.is_empty() {
        return request.servers.to_vec();
    }
    let mut servers: Vec<String> = request.forwarder.map(str::to_owned).into_iter().collect();
    let reachable = host.nameservers.iter().filter(|server| request.host_network || !is_local(server));
    servers.extend(reachable.filter(|server| Some(server.as_str()) != request.forwarder).cloned());
    servers
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Parsed {
    nameservers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

/// As resolv.conf(5): the last `search` or `domain` counts, `options` add up, `#` and `;` in the first column comment.
fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    for line in text.lines().filter(|line| !line.starts_with(['#', ';'])) {
        let mut words = line.split_whitespace();
        let (keyword, values) = (words.next(), words.map(str::to_owned));
        match keyword {
            Some("nameserver") => parsed.nameservers.extend(values.take(1)),
            Some("search") => parsed.search = values.collect(),
            Some("domain") => parsed.search = values.take(1).collect(),
            Some("options") => parsed.options.extend(values),
            _ => {}
        }
    }
    parsed
}

/// Out of reach from another network namespace: loopback, and link-local addresses that name an interface of the host.
fn is_local(server: &str) -> bool {
    let (address, zone) =
        server.split_once('%').map_or((server, None), |(address, zone)| (address, Some(zone)));
    zone.is_some() || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# made by hand\nnameserver 127.0.0.53\nnameserver 192.0.2.1 \nnameserver fe80::1%eth0\nsearch a.example b.example\noptions edns0\noptions trust-ad\n";

    fn request(host: &str) -> Request<'_> {
        Request {
            host,
            forwarder: Some(SLIRP4NETNS_DNS),
            host_network: false,
            servers: &[],
            search: &[],
            options: &[],
        }
    }

    #[test]
    fn the_forwarder_stands_first_and_loopback_is_dropped() {
        assert_eq!(
            render(&request(HOST)),
            "search a.example b.example\nnameserver 10.0.2.3\nnameserver 192.0.2.1\noptions edns0 trust-ad\n"
        );
        assert_eq!(render(&request("")), "nameserver 10.0.2.3\n");
    }

    #[test]
    fn the_hosts_network_has_the_hosts_file() {
        let own = Request { forwarder: None, host_network: true, ..request(HOST) };
        assert_eq!(render(&own), HOST);
        let search = ["c.example".to_owned()];
        let with_search = Request { search: &search, ..own };
        assert!(render(&with_search).starts_with("search c.example\nnameserver 127.0.0.53\n"));
    }

    #[test]
    fn what_the_user_gives_replaces_what_the_host_has() {
        let (servers, dot, options) = (["9.9.9.9".to_owned()], [".".to_owned()], ["ndots:1".to_owned()]);
        let text = render(&Request { servers: &servers, search: &dot, options: &options, ..request(HOST) });
        assert_eq!(text, "nameserver 9.9.9.9\noptions ndots:1\n");
    }

    #[test]
    fn the_last_search_or_domain_counts() {
        assert_eq!(parse("search a b\ndomain c d\n").search, ["c"]);
        assert_eq!(parse("domain c\nsearch a b\n").search, ["a", "b"]);
        assert!(parse("nameserver\n;nameserver 1.1.1.1\nnonsense 1\n").nameservers.is_empty());
    }
}
