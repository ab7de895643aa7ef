//! `coracle slurm …`: for who runs a cluster.

pub mod oci_conf;
