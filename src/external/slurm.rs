//! Slurm's own programs, asked for their version: what a configuration may say depends on it.

use super::Tool;
use crate::error::{Error, Result};

/// The one that every machine of a cluster has.
pub const SRUN: Tool = Tool {
    name: "srun",
    needed_to: "find out which Slurm this is",
    packages: ["slurm-client", "slurm", "slurm"],
    search_path: true,
};

/// Year and month of the release, as in 22.05.
pub type Version = (u16, u16);

/// The version that is installed here.
pub fn version() -> Result<Version> {
    let output = SRUN.run(["--version".into()]).map_err(|e| {
        e.hint("Say which one the cluster has: `coracle slurm oci-conf --slurm-version 23.11`.")
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let word = text.split_whitespace().find_map(parse);
    word.ok_or_else(|| Error::internal(format_args!("srun --version says {:?}", text.trim())))
}

/// `22.05` or `22.05.8`.
pub fn parse(text: &str) -> Option<Version> {
    let mut numbers = text.split('.').map(|part| part.parse::<u16>().ok());
    match (numbers.next()??, numbers.next()??) {
        (year @ 20..100, month @ 1..=12) => Some((year, month)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions() {
        assert_eq!(parse("22.05.8"), Some((22, 5)));
        assert_eq!(parse("24.11"), Some((24, 11)));
        assert_eq!(["slurm-wlm", "22", "22.x", "1.2", "22.13"].map(parse), [None; 5]);
    }
}
