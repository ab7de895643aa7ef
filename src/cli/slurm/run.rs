//! `coracle slurm run`: what the oci.conf for images starts as each task of a step.
//!
//! Slurm gives it slurmd's environment, and writes the step's to a file. It becomes `coracle run` with the step's.

use crate::cli::App;
use crate::error::{Context, Error, Kind, Result};
use crate::external::command_at;
use crate::sys::CallContext;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// Start a task of `srun --container IMAGE`, for the oci.conf that `coracle slurm oci-conf --images` prints
///
/// It becomes `coracle run --interactive --hpc IMAGE COMMAND` with the environment of the step, which Slurm has written to a
/// file.
#[derive(Debug, Clone, clap::Parser)]
#[command(override_usage = "coracle slurm run --environment FILE IMAGE [COMMAND [ARG...]]")]
pub struct Args {
    /// The step's environment: variables, with a byte 0 after each
    #[arg(long, value_name = "FILE", required = true)]
    pub environment: PathBuf,
    /// Image (a name, an id, a file app.sqsh), then command and arguments
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub words: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let image = args.words.first().map(String::as_str).unwrap_or_default();
    let variables = read(&args.environment)
        .what(|| format!("cannot start {image} for Slurm"))
        .hint(|| "Slurm writes that file where oci.conf says CreateEnvFile=null: `coracle slurm oci-conf --images` prints all of it.")?;
    let own = std::env::current_exe().call(|| "readlink(\"/proc/self/exe\")")?;
    let mut command = command_at(&own);
    command.env_clear().envs(variables.iter().cloned());
    // Where srun was called. Some versions start us there, others beside the file.
    if args.environment.parent() == Some(app.cwd()?.as_path()) {
        let called =
            variables.iter().find(|(name, _)| name == "SLURM_SUBMIT_DIR").map(|(_, dir)| Path::new(dir));
        called.filter(|dir| dir.is_dir()).map(|dir| command.current_dir(dir));
    }
    // Returns only when it failed.
    let e = command.args(["run", "--interactive", "--hpc", "--"]).args(&args.words).exec();
    Err(Error::new(Kind::Internal, format_args!("cannot start {image} for Slurm")).cause(e))
}

fn read(path: &Path) -> Result<Vec<(OsString, OsString)>> {
    let bytes = std::fs::read(path).call(|| format!("read({path:?})"))?;
    if !bytes.contains(&0) {
        return Err(Error::corrupt(format_args!("{} has no byte 0 after each variable", path.display())));
    }
    let pair = |entry: &[u8]| {
        let at = entry.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let text = |bytes: Option<&[u8]>| OsStr::from_bytes(bytes.unwrap_or_default()).to_owned();
        Some((text(entry.get(..at)), text(entry.get(at + 1..))))
    };
    Ok(bytes.split(|byte| *byte == 0).filter_map(pair).collect())
}
