//! Whether the command of a rank is a program of MPI: one that is linked with a library of it.
//!
//! Read from the running container, where image, mounts and PATH are what the command finds. A script that starts or loads
//! such a program is not known for one.

use super::cdi::elf;
use super::peek::peek;
use super::view::View;
use crate::error::Result;
use crate::ondisk::container::Container;
use crate::paths::Dirs;
use serde_json::{Value, json};

/// How the libraries' names begin: those of Open MPI, of MPICH and what is made of it, and of PMI.
const LIBRARIES: [&str; 3] = ["libmpi", "libpmi", "libmvapich"];

/// `process`: an OCI process of the container, which runs.
pub fn is_program_of_mpi(dirs: &Dirs, container: &Container, process: &Value) -> Result<bool> {
    let places = places(process);
    let answer = peek(dirs, container, |root| {
        let view = View::of(root);
        let file = places.iter().find_map(|place| view.open_file(place));
        let needs = file.and_then(|file| elf::read(&file)).map(|program| program.needs).unwrap_or_default();
        Ok(json!(needs.iter().any(|name| LIBRARIES.iter().any(|library| name.starts_with(library)))))
    })?;
    Ok(answer == json!(true))
}

/// Where the command may be, as execvp(3) looks for it.
fn places(process: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let Some(command) = process.pointer("/args/0").and_then(text) else { return Vec::new() };
    let cwd = process.get("cwd").and_then(text).unwrap_or_default();
    let env = process.get("env").and_then(Value::as_array);
    let path =
        env.into_iter().flatten().filter_map(text).find_map(|e| e.strip_prefix("PATH=").map(str::to_owned));
    super::specgen::places(&command, &cwd, &path.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_as_the_container_does() {
        let process = |command: &str| json!({"args": [command], "cwd": "/home/a", "env": ["X=1", "PATH=/usr/bin:/bin"]});
        assert_eq!(places(&process("job")), ["/usr/bin/job", "/bin/job"]);
        assert_eq!(places(&process("./job")), ["/home/a/./job"]);
        assert_eq!(places(&process("/job")), ["/job"]);
        assert!(places(&json!({})).is_empty());
    }
}
