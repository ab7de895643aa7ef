//! `coracle exec`: another process in a running container.

use crate::cli::flags::process::environment;
use crate::cli::flags::{attach, select};
use crate::cli::{App, parse, ui};
use crate::engine::{self, exec::ExecOptions};
use crate::error::{Error, Result};
use crate::monitor::client::{self, ExecRequest, Outcome};
use crate::ondisk::container::Status;

/// Run a command in a running container
///
/// Flags end at the container: everything after it belongs to the command. The exit code is the command's; 125, 126 and
/// 127 as for run.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle exec [OPTIONS] CONTAINER COMMAND [ARG...]")]
pub struct Args {
    /// Run in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Keys that detach from the command; empty for none
    #[arg(long, value_name = "KEYS", default_value = parse::detach::DEFAULT)]
    pub detach_keys: String,
    /// Set an environment variable; KEY alone or PREFIX* takes the values from the host
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file, one KEY=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Connect stdin
    #[arg(short, long)]
    pub interactive: bool,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Pass this many open files from number 3 on
    #[arg(long, value_name = "N")]
    pub preserve_fds: Option<u32>,
    /// All capabilities of the container's user namespace
    #[arg(long)]
    pub privileged: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// User and group: a name of the container's, or a number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Name or id, then command and arguments
    #[arg(value_name = "CONTAINER", trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let preserved = attach::preserved(args.preserve_fds)?;
    let dirs = app.dirs()?;
    let (c, command) = if args.latest {
        (select::latest(&dirs)?, args.words.as_slice())
    } else {
        let (name, command) = args
            .words
            .split_first()
            .ok_or_else(|| Error::usage("no container given").hint("Name a container, or use --latest."))?;
        (engine::find(&dirs, name)?, command)
    };
    if command.is_empty() {
        return Err(Error::usage("must provide a non-empty command to start an exec session")
            .hint(format_args!("For example: `coracle exec -it {} sh`.", c.name)));
    }
    if let Some(dir) = args.workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
        return Err(parse::invalid("working directory", dir, "not an absolute path", "--workdir /src"));
    }
    let state = engine::lookup::state(&dirs, &c)?;
    if state.status != Status::Running {
        return Err(Error::in_use(format_args!("cannot execute in container {}", c.name))
            .cause("can only create exec sessions on running containers: container state improper")
            .hint(format_args!("Start it with `coracle start {}`.", c.name)));
    }
    if args.tty && args.interactive && !args.detach && !ui::stdin_is_terminal() {
        ui::warn("The input device is not a TTY. The --tty and --interactive flags might not work properly");
    }
    let env = environment(&args.env_file, &args.env, &parse::env::host())?;
    engine::site::check_env(&env)?;
    let options = ExecOptions {
        command: command.to_vec(),
        env,
        host_env: Vec::new(),
        workdir: args.workdir.clone(),
        user: args.user.clone(),
        tty: args.tty,
        privileged: args.privileged,
    };
    let request = ExecRequest {
        process: engine::exec::process(&dirs, &c, &options)?,
        tty: args.tty,
        interactive: args.interactive,
        detach: args.detach,
        detach_keys: parse::detach::parse(&args.detach_keys)?,
        preserved,
    };
    // podman's code of a background command is 0 or 125: nobody waits for the command itself.
    let own_code = |e: Error| if args.detach { e.with_exit_code(125) } else { e };
    let outcome = client::exec(&dirs, &c, &request).map_err(own_code)?;
    if matches!(outcome, Outcome::Started) {
        // podman prints the id of the session.
        ui::line(crate::id::ContainerId::random()?)?;
    }
    Ok(exit_code(&outcome))
}

/// The exit code of a command that was attached.
pub fn exit_code(outcome: &Outcome) -> u8 {
    match outcome {
        Outcome::Exited(code) => u8::try_from(code & 0xff).unwrap_or(125),
        Outcome::Started | Outcome::Detached => 0,
    }
}
