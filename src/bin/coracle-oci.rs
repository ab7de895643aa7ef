//! `coracle-oci`: the OCI runtime. Everything is in the library. Under other names it is what coracle's boxes have for sudo,
//! coracle, xdg-open and flatpak-spawn.

use coracle::toolbox::{host::client, inside};
use coracle::{cli, error::Result};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let own = args.next().unwrap_or_default();
    let args: Vec<OsString> = args.collect();
    let name = Path::new(&own).file_name().map(|name| name.to_string_lossy().into_owned());
    let mut say = |note: &str| cli::ui::warn(note);
    let done: Result<u8> = match name.as_deref() {
        Some("sudo") => inside::sudo(args),
        Some("coracle") => client::coracle(&args, &mut say),
        Some("xdg-open") => client::xdg_open(&args, &mut say),
        Some("flatpak-spawn") => client::flatpak_spawn(&args, &mut say),
        _ => Ok(cli::oci::main(args)),
    };
    ExitCode::from(done.unwrap_or_else(|error| cli::fail(&error)))
}
