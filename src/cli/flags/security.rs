//! Flags of capabilities, filters and namespaces, for `run` and `create`.

use crate::cli::parse;
use crate::engine::options::{NamespaceOptions, SecurityOptions};
use crate::error::Result;
use std::path::Path;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Security and namespaces")]
pub struct SecurityFlags {
    /// All capabilities of the user namespace, no seccomp filter, no masked paths; still not root of the host
    #[arg(long)]
    pub privileged: bool,
    /// Add a capability, or all
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    pub cap_add: Vec<String>,
    /// Drop a capability, or all
    #[arg(long, value_name = "CAP", value_delimiter = ',')]
    pub cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, mask=PATHS, unmask=PATHS|ALL
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// How users are mapped: host, keep-id[:uid=N,gid=N] or nomap
    #[arg(long, value_name = "MODE")]
    pub userns: Option<String>,
    /// Process namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub pid: Option<String>,
    /// IPC namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub ipc: Option<String>,
    /// Host name namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub uts: Option<String>,
    /// Cgroup namespace: private or host
    #[arg(long, value_name = "MODE")]
    pub cgroupns: Option<String>,
}

impl SecurityFlags {
    pub fn security(&self, cwd: &Path) -> Result<SecurityOptions> {
        let capabilities =
            |list: &[String]| list.iter().map(|c| parse::capability::parse(c)).collect::<Result<Vec<_>>>();
        Ok(SecurityOptions {
            privileged: self.privileged,
            cap_add: capabilities(&self.cap_add)?,
            cap_drop: capabilities(&self.cap_drop)?,
            ..parse::security::parse(&self.security_opt, cwd)?
        })
    }

    pub fn namespaces(&self) -> Result<NamespaceOptions> {
        Ok(NamespaceOptions {
            userns: parse::namespace::userns(self.userns.as_deref())?,
            pid: parse::namespace::parse("--pid", self.pid.as_deref())?,
            ipc: parse::namespace::parse("--ipc", self.ipc.as_deref())?,
            uts: parse::namespace::parse("--uts", self.uts.as_deref())?,
            cgroup: parse::namespace::parse("--cgroupns", self.cgroupns.as_deref())?,
        })
    }
}
