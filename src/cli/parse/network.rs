//! `--network`, `--add-host`, `--dns`.

use crate::error::{Error, Result};
use crate::ondisk::container::NetworkMode;

/// All `--network` flags together; none = the default.
pub fn parse(flags: &[String]) -> Result<Option<NetworkMode>> {
    match flags {
        [] => Ok(None),
        [one] => one_network(one).map(Some),
        _ => {
            Err(super::unsupported("more than one --network").hint("Give one of none, host or slirp4netns."))
        }
    }
}

fn one_network(text: &str) -> Result<NetworkMode> {
    let (mode, options) = text.split_once(':').unwrap_or((text, ""));
    let list = || options.split(',').filter(|o| !o.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let plain = |mode| match options {
        "" => Ok(mode),
        _ => Err(super::invalid("network", text, "this mode has no options", "--network none")),
    };
    match mode {
        "none" => plain(NetworkMode::None),
        "host" => plain(NetworkMode::Host),
        "slirp4netns" => Ok(NetworkMode::Slirp4netns { options: list() }),
        "pasta" => Ok(NetworkMode::Pasta { options: list() }),
        "container" | "ns" => Err(super::shared("--network", text, "--network host")),
        "bridge" | "private" | "default" | "podman" => {
            Err(super::unsupported(format_args!("--network {mode}"))
                .hint("Use `--network slirp4netns`: outgoing traffic and published ports work with it."))
        }
        name => Err(Error::not_found(format_args!("network {name} does not exist"))
            .cause("named networks are not supported yet")
            .hint("Use one of none, host or slirp4netns.")),
    }
}

/// `host[;host2]:ip`.
pub fn add_host(text: &str) -> Result<Vec<(String, String)>> {
    let bad = |why| super::invalid("host entry", text, why, "--add-host db:10.0.0.7");
    let (names, address) = text.split_once(':').ok_or_else(|| bad("no `:`"))?;
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err() {
        return Err(bad("the address is neither an IP address nor host-gateway"));
    }
    let names: Vec<&str> = names.split(';').collect();
    if names.iter().any(|name| name.is_empty() || name.contains(char::is_whitespace)) {
        return Err(bad("a name is empty or has blanks"));
    }
    Ok(names.into_iter().map(|name| (name.to_owned(), bare.to_owned())).collect())
}

/// One `--dns`: an address, or `none` for the image's own resolv.conf.
pub fn dns(text: &str) -> Result<String> {
    if text == "none" || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(super::invalid("DNS server", text, "not an IP address", "--dns 9.9.9.9"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Option<NetworkMode>> {
        parse(&[text.to_owned()])
    }

    #[test]
    fn modes() {
        assert_eq!(one("none").unwrap(), Some(NetworkMode::None));
        let options = vec!["mtu=1500".to_owned(), "cidr=10.1.0.0/24".to_owned()];
        assert_eq!(
            one("slirp4netns:mtu=1500,cidr=10.1.0.0/24").unwrap(),
            Some(NetworkMode::Slirp4netns { options })
        );
        assert_eq!(parse(&[]).unwrap(), None);
        for bad in ["bridge", "mynet", "host:x", "ns:/run/netns/a", "container:", "container:web"] {
            assert!(one(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_and_dns() {
        assert_eq!(add_host("a;b:10.0.0.1").unwrap().len(), 2);
        assert_eq!(add_host("a:[::1]").unwrap(), [("a".into(), "::1".into())]);
        assert!(add_host("a:host-gateway").is_ok());
        for bad in ["a", ":1.2.3.4", "a:b", "a b:1.2.3.4"] {
            assert!(add_host(bad).is_err(), "{bad}");
        }
        assert!(dns("none").is_ok() && dns("::1").is_ok() && dns("x").is_err());
    }
}
