//! Network flags, for `run` and `create`.

use crate::cli::parse;
use crate::engine::options::NetworkOptions;
use crate::error::{Error, Result};
use crate::ondisk::container::NetworkMode;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkFlags {
    /// none, host or slirp4netns[:OPTIONS]
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    pub network: Vec<String>,
    /// Publish a port of the container, or a range of them
    #[arg(short, long, value_name = "[[IP:][HOST]:]PORT[/PROTOCOL]", value_delimiter = ',')]
    pub publish: Vec<String>,
    /// Publish all exposed ports to free ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Name a port that the container listens on
    #[arg(long, value_name = "PORT[/PROTOCOL]", value_delimiter = ',')]
    pub expose: Vec<String>,
    /// DNS servers; `none` keeps the image's /etc/resolv.conf
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub dns: Vec<String>,
    /// DNS search domains; `.` for none
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    pub dns_search: Vec<String>,
    /// DNS options
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION", value_delimiter = ',')]
    pub dns_option: Vec<String>,
    /// Add a line to /etc/hosts; the address may be host-gateway
    #[arg(long, value_name = "NAME:IP", value_delimiter = ',')]
    pub add_host: Vec<String>,
    /// Keep the image's /etc/hosts
    #[arg(long, conflicts_with = "add_host")]
    pub no_hosts: bool,
    /// Keep the image's /etc/hostname
    #[arg(long)]
    pub no_hostname: bool,
}

impl NetworkFlags {
    /// Checks the values.
    pub fn to_options(&self) -> Result<NetworkOptions> {
        let mode = parse::network::parse(&self.network)?;
        let mut ports = Vec::new();
        for text in &self.publish {
            ports.extend(parse::port::publish(text)?);
        }
        parse::port::check_unique(&ports)?;
        let no_ports = matches!(mode, Some(NetworkMode::None | NetworkMode::Host));
        if no_ports && !ports.is_empty() {
            return Err(Error::usage(format_args!("--publish cannot be combined with --network {}", self.network.join(",")))
                .hint("Ports are published with `--network slirp4netns`; with `--network host` the container has the host's ports."));
        }
        let mut expose = Vec::new();
        for text in &self.expose {
            expose.extend(parse::port::expose(text)?);
        }
        let mut add_hosts = Vec::new();
        for text in &self.add_host {
            add_hosts.extend(parse::network::add_host(text)?);
        }
        Ok(NetworkOptions {
            mode,
            ports,
            publish_all: self.publish_all,
            expose,
            dns: self.dns.iter().map(|text| parse::network::dns(text)).collect::<Result<_>>()?,
            dns_search: self.dns_search.clone(),
            dns_options: self.dns_option.clone(),
            add_hosts,
            no_hosts: self.no_hosts,
            no_hostname: self.no_hostname,
        })
    }
}
