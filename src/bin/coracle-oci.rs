//! `coracle-oci`: the OCI runtime. Everything is in the library. Called `sudo`, it is the sudo of coracle's boxes.

use coracle::{cli, toolbox};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let own = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    if Path::new(&own).file_name().is_some_and(|name| name == "sudo") {
        return ExitCode::from(toolbox::inside::sudo(args).unwrap_or_else(|error| cli::fail(&error)));
    }
    ExitCode::from(cli::oci::main(args))
}
