//! How a command is connected to a container's terminal or streams.

use crate::cli::global::CgroupManager;
use crate::cli::parse::detach;
use crate::cli::{App, parse, ui};
use crate::error::{Error, Result};
use crate::external::runtime::MAX_PRESERVED;
use crate::monitor::client::LaunchOptions;
use std::os::fd::OwnedFd;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Attaching")]
pub struct AttachFlags {
    /// Connect stdin, stdout or stderr; stdout and stderr go together
    #[arg(short, long, value_name = "STREAM", value_delimiter = ',')]
    pub attach: Vec<String>,
    #[command(flatten)]
    pub relay: RelayFlags,
}

#[derive(Debug, Clone, clap::Args)]
pub struct RelayFlags {
    /// Keys that detach from the container; empty for none
    #[arg(long, value_name = "KEYS", default_value = detach::DEFAULT)]
    pub detach_keys: String,
    /// Pass signals to the container (not with a terminal, where keys do it)
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub sig_proxy: bool,
}

/// `--preserve-fds`: files that the caller has open from number 3 on.
pub fn preserved(count: Option<u32>) -> Result<Vec<OwnedFd>> {
    let count = count.unwrap_or(0);
    if count > MAX_PRESERVED {
        return Err(Error::usage(format_args!("--preserve-fds {count} is more than {MAX_PRESERVED}")));
    }
    crate::sys::spawn::callers_fds(count).map_err(|number| {
        Error::usage(format_args!("file descriptor {number} is not open")).hint(format_args!(
            "--preserve-fds {count} passes the {count} from number 3 on; a shell opens one with `{number}<FILE`."
        ))
    })
}

impl AttachFlags {
    /// For `run`: attached unless detached, with stdin when it is kept open or asked for.
    pub fn to_launch(
        &self,
        app: &App,
        attached: bool,
        interactive: bool,
        tty: bool,
    ) -> Result<LaunchOptions> {
        let mut stdin = interactive;
        let (mut stdout, mut stderr) = (self.attach.is_empty(), self.attach.is_empty());
        for stream in &self.attach {
            match stream.to_ascii_lowercase().as_str() {
                "stdin" => stdin = true,
                "stdout" => stdout = true,
                "stderr" => stderr = true,
                _ => {
                    return Err(parse::invalid(
                        "--attach",
                        stream,
                        "one of stdin, stdout, stderr",
                        "--attach stdout,stderr",
                    ));
                }
            }
        }
        if attached && !(stdout && stderr) {
            return Err(parse::unsupported(format_args!("--attach {}", self.attach.join(","))).hint(
                "Attach stdout and stderr together and redirect one: `--attach stdout,stderr 2>/dev/null`.",
            ));
        }
        self.relay.to_launch(app, attached, stdin, tty)
    }
}

impl RelayFlags {
    /// Detach keys and signals as asked for.
    pub fn to_launch(&self, app: &App, attach: bool, stdin: bool, tty: bool) -> Result<LaunchOptions> {
        if attach && stdin && tty && !ui::stdin_is_terminal() {
            ui::warn(
                "The input device is not a TTY. The --tty and --interactive flags might not work properly",
            );
        }
        Ok(LaunchOptions {
            attach,
            stdin: stdin && attach,
            detach_keys: detach::parse(&self.detach_keys)?,
            sig_proxy: self.sig_proxy && attach && !tty,
            scope: app.globals.cgroup_manager()? == CgroupManager::Systemd,
            preserved: Vec::new(),
        })
    }
}
