//! The slirp4netns of one container: options, start, ready, published ports.
//!
//! Between `create` and `start`: the namespace exists, the payload does not run yet, so it never sees a network that is
//! half up. Ports are asked for over the API socket; a port that cannot be bound fails the start with slirp's own words.

use crate::error::{Context, Error, Kind, Result};
use crate::external::last_words;
use crate::external::slirp4netns::{EXIT_FD, Options, READY_FD, SLIRP4NETNS, args};
use crate::ondisk::container::PortMapping;
use crate::sys::{self, CallContext, null, socket};
use rustix::event::{PollFd, PollFlags};
use rustix::net::SocketType;
use rustix::process::Pid;
use serde_json::{Value, json};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

/// How long the helper may take to configure its tap device. It needs about ten milliseconds.
const READY_TIMEOUT_S: i64 = 10;

/// Its API socket, in the container's runtime directory.
const API_SOCKET: &str = "slirp4netns.sock";

/// The number at which it finds the directory of its API socket, when the path is too long for a socket.
const DIR_FD: i32 = 5;

/// Longest path of a socket (unix(7), sun_path).
const MAX_SOCKET_PATH: usize = 107;

/// A running helper. Dropping it ends it: the write end of its exit pipe closes.
#[derive(Debug)]
pub struct Helper {
    pub pid: Pid,
    _exit: OwnedFd,
}

/// Starts the helper for the network namespace of `pid`, waits until the device is up and the ports are bound.
/// `run` is the container's runtime directory.
pub fn start(run: BorrowedFd<'_>, pid: i32, options: &[String], ports: &[PortMapping]) -> Result<Helper> {
    let options = parse_options(options)?;
    let program = SLIRP4NETNS.find()?;
    let (ready, ready_theirs) = pipe()?;
    let (exit_theirs, exit) = pipe()?;
    let words = rustix::fs::memfd_create("slirp4netns-stderr", rustix::fs::MemfdFlags::CLOEXEC)
        .call(|| "memfd_create(\"slirp4netns-stderr\")")?;
    let null = null::open()?;

    let api = api_path(run)?;
    let netns = format!("/proc/{pid}/ns/net");
    let argv = std::iter::once(OsString::from(SLIRP4NETNS.name))
        .chain(args(&options, &netns, (!ports.is_empty()).then_some(api.as_str())))
        .map(c_string)
        .collect::<Result<Vec<_>>>()?;
    let _ = rustix::fs::unlinkat(run, API_SOCKET, rustix::fs::AtFlags::empty());
    let mut fds = vec![
        (null.as_fd(), 0),
        (null.as_fd(), 1),
        (words.as_fd(), 2),
        (ready_theirs.as_fd(), READY_FD),
        (exit_theirs.as_fd(), EXIT_FD),
    ];
    if api.starts_with("/proc/") && !ports.is_empty() {
        fds.push((run, DIR_FD));
    }
    let child = sys::spawn::spawn(&c_string(program.into_os_string())?, &argv, &fds)
        .what(|| format!("cannot {}", SLIRP4NETNS.needed_to))?;
    let child = Pid::from_raw(child).ok_or_else(|| Error::internal("posix_spawn gave pid 0"))?;
    drop((ready_theirs, exit_theirs));

    let helper = Helper { pid: child, _exit: exit };
    wait_ready(ready, words)?;
    for port in ports {
        publish(run, port)?;
    }
    Ok(helper)
}

/// The directory's own path, so that the helper gets no fd of it; else through the fd.
fn api_path(run: BorrowedFd<'_>) -> Result<String> {
    let link = format!("/proc/self/fd/{}", run.as_raw_fd());
    let dir = rustix::fs::readlink(&link, Vec::new()).call(|| format!("readlink({link:?})"))?;
    let path = format!("{}/{API_SOCKET}", dir.to_string_lossy());
    Ok(if path.len() > MAX_SOCKET_PATH { format!("/proc/self/fd/{DIR_FD}/{API_SOCKET}") } else { path })
}

fn wait_ready(ready: OwnedFd, words: OwnedFd) -> Result<()> {
    let timeout = rustix::time::Timespec { tv_sec: READY_TIMEOUT_S, tv_nsec: 0 };
    loop {
        let mut fds = [PollFd::new(&ready, PollFlags::IN)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) => {
                let why = format!("not ready after {READY_TIMEOUT_S} s; {}", said(words));
                return Err(SLIRP4NETNS.failed(&why));
            }
            other => break other.map(drop).call(|| "poll(ready-fd)")?,
        }
    }
    let mut byte = [0u8];
    match File::from(ready).read(&mut byte) {
        Ok(1) => Ok(()),
        _ => Err(SLIRP4NETNS
            .failed(&said(words))
            .hint("See whether this machine has /dev/net/tun for you with `coracle doctor`.")),
    }
}

fn said(words: OwnedFd) -> String {
    let mut text = Vec::new();
    let mut file = File::from(words);
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(16 << 10).read_to_end(&mut text));
    last_words(&text, "it said nothing")
}

/// One published port.
fn publish(run: BorrowedFd<'_>, port: &PortMapping) -> Result<()> {
    let what = || format!("cannot publish port {}", port.host_port);
    let mut api = File::from(socket::connect_at(run, API_SOCKET, SocketType::STREAM).what(what)?);
    let request = add_hostfwd(port).to_string();
    api.write_all(request.as_bytes()).call(|| "write(slirp4netns API)").what(what)?;
    rustix::net::shutdown(&api, rustix::net::Shutdown::Write)
        .call(|| "shutdown(slirp4netns API)")
        .what(what)?;
    let mut answer = Vec::new();
    api.take(4096).read_to_end(&mut answer).call(|| "read(slirp4netns API)").what(what)?;
    let answer: Value = serde_json::from_slice(&answer).unwrap_or(Value::Null);
    if answer.get("return").is_some() {
        return Ok(());
    }
    let desc = answer.pointer("/error/desc").and_then(Value::as_str).unwrap_or("no answer").to_owned();
    let error = Error::new(Kind::InUse, what()).cause(format_args!("slirp4netns: {desc}"));
    if port.host_port < 1024 {
        return Err(error.hint(format_args!(
            "Ports below 1024 are not for users: choose another, or ask the administrator for `sysctl net.ipv4.ip_unprivileged_port_start={}`.",
            port.host_port
        )));
    }
    Err(error.hint(format_args!(
        "See who uses it with `ss -ltnup 'sport = :{}'`, or choose another port.",
        port.host_port
    )))
}

/// The request that publishes a port.
fn add_hostfwd(port: &PortMapping) -> Value {
    let host = if port.host_ip.is_empty() { "0.0.0.0" } else { &port.host_ip };
    json!({"execute": "add_hostfwd", "arguments": {
        "proto": port.protocol, "host_addr": host, "host_port": port.host_port, "guest_port": port.container_port,
    }})
}

/// `key=value` options as podman spells them.
fn parse_options(options: &[String]) -> Result<Options> {
    let mut parsed = Options::default();
    for option in options {
        let bad = || Error::usage(format_args!("invalid slirp4netns option {option:?}"));
        let (key, value) = option.split_once('=').ok_or_else(bad)?;
        match key {
            "cidr" => parsed.cidr = Some(value.to_owned()),
            "mtu" => parsed.mtu = value.parse().map_err(|_| bad())?,
            "allow_host_loopback" => parsed.allow_host_loopback = value.parse().map_err(|_| bad())?,
            "enable_ipv6" => parsed.ipv6 = value.parse().map_err(|_| bad())?,
            "outbound_addr" => parsed.outbound_addr = Some(value.to_owned()),
            "outbound_addr6" => parsed.outbound_addr6 = Some(value.to_owned()),
            // Ports always go through slirp4netns itself, which keeps the client's address.
            "port_handler" if value == "slirp4netns" || value == "rootlesskit" => {}
            _ => return Err(bad().hint("Known: allow_host_loopback, cidr, enable_ipv6, mtu, outbound_addr, outbound_addr6, port_handler.")),
        }
    }
    Ok(parsed)
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).call(|| "pipe2(O_CLOEXEC)")?)
}

fn c_string(text: OsString) -> Result<CString> {
    CString::new(text.into_vec()).map_err(|_| Error::usage("an argument contains a NUL byte"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_podmans() {
        let options = ["mtu=1400", "allow_host_loopback=true", "port_handler=slirp4netns"].map(String::from);
        let parsed = parse_options(&options).unwrap();
        assert_eq!((parsed.mtu, parsed.allow_host_loopback), (1400, true));
        for bad in ["mtu", "mtu=x", "allow_host_loopback=yes", "port_handler=x", "nope=1"] {
            assert!(parse_options(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_port_without_an_address_is_local() {
        let port = PortMapping {
            host_ip: String::new(),
            host_port: 8080,
            container_port: 80,
            protocol: "tcp".to_owned(),
        };
        let request = add_hostfwd(&port);
        assert_eq!(request.pointer("/arguments/host_addr").unwrap(), "0.0.0.0");
        assert_eq!(request.pointer("/arguments/guest_port").unwrap(), 80);
    }
}
