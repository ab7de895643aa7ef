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
/// With --images it starts images instead: `srun --container app.sqsh CMD`, or the name of an image, is
/// `srun coracle run --hpc app.sqsh CMD`. That wants Slurm 23.02 or later. In 24.11 srun looks for CMD on its own machine
/// first and passes the path that it has there, and no word may have a single quote in it.
///
/// Without any of this, `srun coracle run app.sqsh` works, with as many tasks as there are. Slurm 22.05 starts one task
/// for each step with --container.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// For images instead of bundles
    #[arg(long)]
    pub images: bool,
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
    let text = if args.images { slurm::oci_conf_of_images(version)? } else { slurm::oci_conf(version)? };
    ui::out(&text)?;
    Ok(0)
}
