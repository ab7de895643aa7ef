//! `coracle run`: make a container and start it.

use crate::cli::flags::attach::{AttachFlags, preserved};
use crate::cli::flags::create::CreateFlags;
use crate::cli::flags::hpc::HpcFlags;
use crate::cli::{App, ui};
use crate::engine::alone::{self, Alone};
use crate::engine::launcher::{self, Launcher};
use crate::engine::options::CreateOptions;
use crate::engine::{self, ranks};
use crate::error::{Error, Result};
use crate::monitor::client::Outcome;
use crate::ondisk::container::{LogDriver, NetworkMode, Restart};
use crate::paths::Dirs;
use crate::sys::fds;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

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
    /// Share one container with the other ranks of the job step on this node (srun, mpirun)
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub share_ranks: bool,
    #[command(flatten)]
    pub attach: AttachFlags,
    #[command(flatten)]
    pub create: CreateFlags,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if args.detach && !args.attach.attach.is_empty() {
        return Err(Error::usage("--detach cannot be combined with --attach"));
    }
    args.create.check_cidfile()?;
    let dirs = app.dirs()?;
    let mut options = args.create.to_options(app)?;
    let host = crate::cli::parse::env::host();
    if let Some(launcher) = Launcher::of(&host).filter(|_| !args.detach) {
        launcher::pass_through(&host, &mut options);
        let CreateFlags { process, security, .. } = &args.create;
        let says_who = HpcFlags::contradiction(process, security).is_some();
        launcher::be_oneself(&host, &mut options, says_who);
        warn_of_loneliness(&launcher, &host, &options);
        if args.share_ranks && launcher.size > 1 && ranks::hindrance(&options).is_none() && args.is_plain() {
            return become_rank(args, &dirs, &options, &launcher, &host);
        }
        // As the ranks' own: nobody looks for it after the step.
        options.auto_remove |= options.name.is_none() && options.restart == Restart::No && args.is_plain();
        if options.network.ports.is_empty() && !options.network.publish_all {
            options.network.mode = options.network.mode.or(Some(NetworkMode::Host));
        }
    }
    if args.detach && options.log.driver == LogDriver::Passthrough {
        return Err(Error::usage("--log-driver passthrough cannot be combined with --detach")
            .hint("Passthrough gives the container this command's own stdin, stdout and stderr."));
    }
    let file = engine::image_file(&options)?;
    if !args.detach
        && args.is_plain()
        && args.attach.relay.sig_proxy
        && let Some(alone) = alone::prepare(&dirs, &options, file.as_ref())?
    {
        return run_alone(args, &dirs, &options, alone, &host);
    }
    // A container of its own reads no terminal unasked: whoever starts it in the background would be stopped.
    options.process.interactive |= options.process.own_stdin && !args.detach && !ui::stdin_is_terminal();
    let process = &options.process;
    let mut launch = args.attach.to_launch(app, !args.detach, process.interactive, process.tty)?;
    launch.preserved = preserved(args.preserve_fds)?;
    pass_pmi(&host, &mut options, &mut launch.preserved);
    let mut cidfile = Ok(());
    let mut id = None;
    let outcome = engine::run(&dirs, &options, file.as_ref(), &launch, |created| {
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

impl Args {
    /// Nothing of it needs a container of its own.
    fn is_plain(&self) -> bool {
        let container = &self.create.container;
        self.attach.attach.is_empty() && container.cidfile.is_none() && container.log_driver.is_none()
    }
}

/// This process becomes the rank: what follows is its exit code.
fn become_rank(
    args: &Args,
    dirs: &Dirs,
    options: &CreateOptions,
    launcher: &Launcher,
    host: &BTreeMap<String, String>,
) -> Result<u8> {
    let passed = passed_fds(args, host)?;
    let shared =
        ranks::acquire(dirs, options, &launcher.step, |created| created.warnings.iter().for_each(ui::warn))?;
    if launcher.name == "srun"
        && launcher.is_first
        && launcher::is_silent(host)
        && shared.runs_mpi(dirs, options)
    {
        ui::warn(format_args!(
            "srun has started {} ranks of a program of MPI and tells them nothing of each other: each would become rank 0 of 1. \
             Start it with `srun --mpi=pmix` or `--mpi=pmi2`; `srun --mpi=list` says what this cluster has",
            launcher.size
        ));
    }
    let rank = shared.rank(dirs, options, &[], passed, None)?;
    drop(shared);
    leave_stdin(options)?;
    Err(rank.become_it())
}

/// This process becomes the container's: what follows is its exit code.
fn run_alone(
    args: &Args,
    dirs: &Dirs,
    options: &CreateOptions,
    alone: Alone<'_>,
    host: &BTreeMap<String, String>,
) -> Result<u8> {
    let passed = passed_fds(args, host)?;
    leave_stdin(options)?;
    match alone.run(dirs, options, passed, |warnings| warnings.iter().for_each(ui::warn))? {}
}

fn leave_stdin(options: &CreateOptions) -> Result<()> {
    if options.process.interactive || options.process.own_stdin {
        return Ok(());
    }
    rustix::stdio::dup2_stdin(crate::sys::null::open()?)
        .map_err(|e| Error::internal(format_args!("dup2(/dev/null): {e}")))
}

/// The fd of PMI_FD, for a container that is not shared: it follows those of `--preserve-fds`, under the number that it has then.
fn pass_pmi(host: &BTreeMap<String, String>, options: &mut CreateOptions, preserved: &mut Vec<OwnedFd>) {
    let Some(number) = launcher::pmi_fd(host).filter(|fd| fds::is_passed_on(*fd)) else { return };
    let (old, new) = (number.to_string(), (3 + preserved.len()).to_string());
    let said = options.process.env.iter_mut().filter(|(name, value)| name == "PMI_FD" && *value == old);
    let said: Vec<_> = said.collect();
    if !said.is_empty() && preserved.len() < crate::external::runtime::MAX_PRESERVED as usize {
        said.into_iter().for_each(|(_, value)| value.clone_from(&new));
        preserved.extend(crate::sys::spawn::inherited_fd(number));
    }
}

/// How many fds from 3 on the rank gets: those of `--preserve-fds`, and the one of PMI_FD; others below that one are closed.
fn passed_fds(args: &Args, host: &BTreeMap<String, String>) -> Result<u32> {
    let kept: Vec<OwnedFd> = preserved(args.preserve_fds)?;
    let asked = 3 + args.preserve_fds.unwrap_or(0);
    for fd in kept {
        // Ours to give: it stays open over execve.
        rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::empty())
            .map_err(|e| Error::internal(format_args!("fcntl(F_SETFD): {e}")))?;
        let _ = std::os::fd::IntoRawFd::into_raw_fd(fd);
    }
    let pmi =
        launcher::pmi_fd(host).filter(|fd| fds::is_passed_on(*fd)).and_then(|fd| u32::try_from(fd).ok());
    let until = pmi.map_or(asked, |fd| asked.max(fd + 1));
    let others = (asked..until).filter(|fd| Some(*fd) != pmi);
    others
        .filter_map(|fd| i32::try_from(fd).ok())
        .filter(|fd| fds::is_passed_on(*fd))
        .for_each(fds::close_one);
    Ok(until - 3)
}

/// Once for all ranks.
fn warn_of_loneliness(launcher: &Launcher, host: &BTreeMap<String, String>, options: &CreateOptions) {
    if launcher.size < 2 || !launcher.is_first {
        return;
    }
    if let Some(why) = launcher::would_be_alone(host, options, fds::is_passed_on) {
        ui::warn(format_args!(
            "{} has started {} ranks, but what it tells them does not reach the container: {why}. Each would become rank 0 of 1",
            launcher.name, launcher.size
        ));
    }
}
