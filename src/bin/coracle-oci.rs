//! `coracle-oci`: the OCI runtime. Everything is in the library.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
