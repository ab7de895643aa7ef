//! slirp4netns: a user-mode TCP/IP stack behind a tap device in the container's network namespace.
//!
//! Started inside the store's user namespace with `--netns-type=path`: from outside, with `--userns-path`, the sandbox of
//! version 1.2.0 fails. Ready when it writes to `--ready-fd`; a closed ready-fd without a byte is a failure. It ends when
//! the write end of `--exit-fd` is closed, so it cannot outlive us.

use super::Tool;
use std::ffi::OsString;
use std::os::fd::RawFd;

pub const SLIRP4NETNS: Tool = Tool {
    name: "slirp4netns",
    needed_to: "connect the container's network",
    packages: ["slirp4netns", "slirp4netns", "slirp4netns"],
    search_path: true,
};

/// The numbers at which the helper finds its fds.
pub const READY_FD: RawFd = 3;
pub const EXIT_FD: RawFd = 4;

/// What a container asks of it, from the options of `--network slirp4netns:…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// IPv4 network, `10.0.2.0/24`.
    pub cidr: Option<String>,
    pub mtu: u32,
    /// The host's own loopback is reachable at the gateway's address.
    pub allow_host_loopback: bool,
    pub ipv6: bool,
    /// Address or interface that outgoing connections are bound to.
    pub outbound_addr: Option<String>,
    pub outbound_addr6: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cidr: None,
            mtu: 65520,
            allow_host_loopback: false,
            ipv6: false,
            outbound_addr: None,
            outbound_addr6: None,
        }
    }
}

/// The command line, without the program's name.
pub fn args(options: &Options, netns: &str, api_socket: Option<&str>) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec!["--configure".into(), format!("--mtu={}", options.mtu).into()];
    if !options.allow_host_loopback {
        args.push("--disable-host-loopback".into());
    }
    args.extend(["--enable-sandbox".into(), "--enable-seccomp".into()]);
    if options.ipv6 {
        args.push("--enable-ipv6".into());
    }
    if let Some(cidr) = &options.cidr {
        args.push(format!("--cidr={cidr}").into());
    }
    if let Some(addr) = &options.outbound_addr {
        args.push(format!("--outbound-addr={addr}").into());
    }
    if let Some(addr) = &options.outbound_addr6 {
        args.push(format!("--outbound-addr6={addr}").into());
    }
    if let Some(socket) = api_socket {
        args.push(format!("--api-socket={socket}").into());
    }
    args.push(format!("--ready-fd={READY_FD}").into());
    args.push(format!("--exit-fd={EXIT_FD}").into());
    args.push("--netns-type=path".into());
    args.extend([netns.into(), "tap0".into()]);
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_closed_to_the_host_and_sandboxed() {
        assert_eq!(
            args(&Options::default(), "/proc/7/ns/net", None),
            [
                "--configure",
                "--mtu=65520",
                "--disable-host-loopback",
                "--enable-sandbox",
                "--enable-seccomp",
                "--ready-fd=3",
                "--exit-fd=4",
                "--netns-type=path",
                "/proc/7/ns/net",
                "tap0",
            ]
        );
    }

    #[test]
    fn options_become_flags() {
        let options = Options {
            cidr: Some("10.9.0.0/24".into()),
            allow_host_loopback: true,
            ipv6: true,
            ..Options::default()
        };
        let args = args(&options, "/n", Some("/s"));
        assert!(!args.contains(&"--disable-host-loopback".into()));
        for flag in ["--enable-ipv6", "--cidr=10.9.0.0/24", "--api-socket=/s"] {
            assert!(args.contains(&flag.into()), "{flag}");
        }
    }
}
