//! `coracle slurm …`: for who runs a cluster, and for Slurm itself.

pub mod oci_conf;
pub mod run;
