//! `coracle run`: make a container and start it.

use crate::cli::flags::attach::{AttachFlags, preserved};
use crate::cli::flags::create::CreateFlags;
use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use crate::monitor::client::Outcome;
use crate::ondisk::container::LogDriver;

/// Make a container and run a command in it
///
/// Flags end at the image: everything after it belongs to the command in the container. The exit code is the command's;
/// 125 when coracle itself fails, 126 when the command cannot be executed, 127 when it does not exist.
#[derive(Debug, Clone, clap::Parser)]
#[command(disable_help_flag = true, override_usage = "coracle run [OPTIONS] IMAGE [COMMAND [ARG...]]")]
pub struct Args {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub detach: bool,
    /// Pass this many open files from number 3 on
    #[arg(long, value_name = "N")]
    pub preserve_fds: Option<u32>,
    #[command(flatten)]
    pub attach: AttachFlags,
    #[command(flatten)]
    pub create: CreateFlags,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.detach && !args.attach.attach.is_empty() {
        return Err(Error::usage("--detach cannot be combined with --attach"));
    }
    let preserved = preserved(args.preserve_fds)?;
    args.create.check_cidfile()?;
    let dirs = app.dirs()?;
    let options = args.create.to_options(app)?;
    if args.detach && options.log.driver == LogDriver::Passthrough {
        return Err(Error::usage("--log-driver passthrough cannot be combined with --detach")
            .hint("Passthrough gives the container this command's own stdin, stdout and stderr."));
    }
    let process = &options.process;
    let mut launch = args.attach.to_launch(app, !args.detach, process.interactive, process.tty)?;
    launch.preserved = preserved;
    let mut cidfile = Ok(());
    let mut id = None;
    let outcome = engine::run(&dirs, &options, &launch, |created| {
        created.warnings.iter().for_each(ui::warn);
        cidfile = args.create.write_cidfile(created.container.id.as_str());
        id = Some(created.container.id.clone());
    })?;
    cidfile?;
    if let (Outcome::Started, Some(id)) = (&outcome, id) {
        ui::line(id)?;
    }
    Ok(super::exec::exit_code(&outcome))
}
