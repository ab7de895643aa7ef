//! `coracle-oci ps`: the processes of a container, as pids or as the host's `ps` shows them.

use crate::error::Result;
use crate::external::Tool;
use std::ffi::OsString;

/// The host's ps.
const PS: Tool = Tool {
    name: "ps",
    needed_to: "list processes",
    packages: ["procps", "procps-ng", "procps"],
    search_path: true,
};

/// `[1,2,3]`.
pub fn json(pids: &[i32]) -> String {
    format!("{}\n", serde_json::json!(pids))
}

/// The output of `ps -ef` (or with the caller's arguments), cut down to the lines of `pids`.
pub fn table(pids: &[i32], args: &[OsString]) -> Result<String> {
    let args = if args.is_empty() { vec!["-ef".into()] } else { args.to_vec() };
    let output = PS.run(args)?;
    Ok(filter(&String::from_utf8_lossy(&output.stdout), pids))
}

fn filter(text: &str, pids: &[i32]) -> String {
    let mut lines = text.lines();
    let Some(header) = lines.next() else { return String::new() };
    let column = header.split_ascii_whitespace().position(|word| word == "PID");
    let mine = |line: &&str| {
        let pid = column.and_then(|c| line.split_ascii_whitespace().nth(c)).and_then(|pid| pid.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    std::iter::once(header).chain(lines.filter(mine)).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_stay() {
        let text = "UID   PID PPID CMD\nroot    1    0 init\nada    20    1 sh -c 1\nada   200    1 x\n";
        assert_eq!(filter(text, &[20]), "UID   PID PPID CMD\nada    20    1 sh -c 1\n");
        assert_eq!(json(&[1, 2]), "[1,2]\n");
    }
}
