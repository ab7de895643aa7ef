//! `coracle-oci`: the OCI runtime. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(coracle::cli::oci::main(std::env::args_os().skip(1).collect()))
}
