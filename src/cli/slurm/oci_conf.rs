//! `coracle slurm oci-conf`: the file that tells Slurm how to start containers.

use crate::cli::{App, parse, ui};
use crate::engine::slurm;
use crate::error::Result;
use crate::external::slurm as installed;

/// Print the oci.conf that lets `srun --container` start containers of coracle
///
/// Put it beside slurm.conf on every node, where the programs have the same paths as here. Then `srun --container DIR`
/// starts a bundle that `coracle bundle IMAGE DIR` made, by coracle-oci, as the job's user.
///
/// Without any of this, `srun coracle run app.sqsh` works, with as many tasks as there are. Slurm 22.05 starts one task
/// for each step with --container.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Version of Slurm, such as 22.05; the installed one if not given
    #[arg(long, value_name = "VERSION")]
    pub slurm_version: Option<String>,
}

pub fn run(args: &Args, _app: &App) -> Result<u8> {
    let version = match args.slurm_version.as_deref() {
        Some(text) => installed::parse(text).ok_or_else(|| {
            parse::invalid("--slurm-version", text, "not a year and a month", "--slurm-version 23.11")
        })?,
        None => installed::version()?,
    };
    ui::out(&slurm::oci_conf(version)?)?;
    Ok(0)
}
