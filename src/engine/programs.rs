//! Our own second binary: where `coracle-oci` is.

use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use std::path::PathBuf;

/// `coracle-oci` beside the running `coracle`, else in PATH.
pub fn runtime_path() -> Result<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe")
        .call(|| "readlink(/proc/self/exe)")
        .what(|| "cannot find coracle-oci")?;
    let beside = own.with_file_name("coracle-oci");
    if beside.is_file() {
        return Ok(beside);
    }
    let in_path = crate::paths::search_path()
        .into_iter()
        .map(|dir| dir.join("coracle-oci"))
        .find(|file| file.is_file());
    in_path.ok_or_else(|| {
        Error::host("cannot find coracle-oci")
            .cause(format_args!("{} does not exist, and PATH has none", beside.display()))
            .hint("Install both programs side by side; `packaging/quickstart` does.")
    })
}
