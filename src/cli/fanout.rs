//! `coracle fanout`: a program as many ranks on this machine, with no Slurm and no mpirun.

use crate::cli::flags::create::CreateFlags;
use crate::cli::{App, parse, ui};
use crate::engine::fanout::{self, Fanout, Stream};
use crate::error::Result;

/// Run a command as many ranks in one container
///
/// Like `srun -n N coracle run IMAGE COMMAND` on one machine, with no Slurm. All ranks share the namespaces of one
/// container: /tmp and /dev/shm are the same for all, and MPI may read from one rank's memory into another's. The network
/// is the host's unless another is asked for. With --interactive, rank 0 has this command's stdin.
///
/// A rank finds its number in OMPI_COMM_WORLD_RANK, OMPI_COMM_WORLD_LOCAL_RANK, PMI_RANK, SLURM_PROCID, SLURM_LOCALID,
/// RANK and LOCAL_RANK, and how many there are in OMPI_COMM_WORLD_SIZE, OMPI_COMM_WORLD_LOCAL_SIZE, PMI_SIZE,
/// SLURM_NTASKS, WORLD_SIZE and LOCAL_WORLD_SIZE. There is no server of PMI: programs of MPI want mpirun or srun.
///
/// The exit code is the highest of all ranks', or with --kill-on-bad-exit that of the first one that failed. Signals are passed on to all of them.
#[derive(Debug, Clone, clap::Parser)]
#[command(
    disable_help_flag = true,
    override_usage = "coracle fanout -n N [OPTIONS] IMAGE [--] [COMMAND [ARG...]]"
)]
pub struct Args {
    /// How many ranks, 1 to 4096
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub ranks: u32,
    /// Begin each line of output with the number of the rank that wrote it
    #[arg(long)]
    pub tag_output: bool,
    /// End all ranks when one ends with another code than 0: SIGTERM, and SIGKILL after --stop-timeout
    #[arg(long)]
    pub kill_on_bad_exit: bool,
    #[command(flatten)]
    pub create: CreateFlags,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let mut create = args.create.clone();
    if create.words.get(1).is_some_and(|word| word == "--") {
        create.words.remove(1);
    }
    let dirs = app.dirs()?;
    let options = create.to_options(app)?;
    if create.container.cidfile.is_some() {
        return Err(parse::unsupported("--cidfile with fanout"));
    }
    let wanted =
        Fanout { ranks: args.ranks, tagged: args.tag_output, kill_on_bad_exit: args.kill_on_bad_exit };
    let mut output = |rank: u32, stream: Stream, line: &[u8]| {
        let mut tagged = format!("{rank}: ").into_bytes();
        tagged.extend(line);
        if !line.ends_with(b"\n") {
            tagged.push(b'\n');
        }
        match stream {
            Stream::Stdout => ui::bytes(&tagged),
            Stream::Stderr => ui::err_bytes(&tagged),
        }
    };
    let told = |created: &crate::engine::Created| created.warnings.iter().for_each(ui::warn);
    let code = fanout::run(&dirs, &options, wanted, told, &mut output)?;
    Ok(u8::try_from(code).unwrap_or(255))
}
