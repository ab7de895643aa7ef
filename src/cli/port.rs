//! `coracle port`: which host ports lead to a container.

use crate::cli::flags::select;
use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::ondisk::container::{Container, PortMapping, Status};

/// Show the published ports of a container
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// All containers
    #[arg(short, long, conflicts_with_all = ["latest", "container"])]
    pub all: bool,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Name or id
    #[arg(value_name = "CONTAINER")]
    pub container: Option<String>,
    /// Only this port of the container
    #[arg(value_name = "PORT[/PROTOCOL]")]
    pub port: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    if args.all {
        let (all, damaged) = engine::list(&dirs)?;
        for (c, _) in all.iter().filter(|(_, s)| s.status == Status::Running) {
            for port in &c.network.ports {
                ui::line(format_args!("{}\t{}", c.id.short(), describe(port)))?;
            }
        }
        return Ok(ui::errors(&damaged));
    }
    // With --latest the first word is the port.
    let (name, port) = if args.latest {
        (None, args.container.as_ref())
    } else {
        (args.container.as_deref(), args.port.as_ref())
    };
    let c = select::one(&dirs, name, args.latest)?;
    match port {
        None => c.network.ports.iter().try_for_each(|p| ui::line(describe(p)))?,
        Some(port) => one(&c, port)?,
    }
    Ok(0)
}

fn one(c: &Container, port: &str) -> Result<()> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let number: u16 = number.parse().map_err(|_| {
        crate::cli::parse::invalid(
            "port",
            port,
            "not a number, with or without a protocol",
            "coracle port web 80/tcp",
        )
    })?;
    let found: Vec<&PortMapping> =
        c.network.ports.iter().filter(|p| p.container_port == number && p.protocol == protocol).collect();
    if found.is_empty() {
        return Err(Error::not_found(format_args!(
            "failed to find published port {number}/{protocol} of container {}",
            c.name
        ))
        .hint(format_args!("See all of them with `coracle port {}`.", c.name)));
    }
    found.into_iter().try_for_each(|p| ui::line(host(p)))
}

fn host(p: &PortMapping) -> String {
    let ip = if p.host_ip.is_empty() { "0.0.0.0" } else { &p.host_ip };
    if ip.contains(':') { format!("[{ip}]:{}", p.host_port) } else { format!("{ip}:{}", p.host_port) }
}

fn describe(p: &PortMapping) -> String {
    format!("{}/{} -> {}", p.container_port, p.protocol, host(p))
}
