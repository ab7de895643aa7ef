//! `--cap-add`, `--cap-drop`: names with or without `CAP_`, any case, or `all`.

use crate::error::Result;

/// capabilities(7), in the kernel's order.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// `CAP_NET_RAW` or `ALL`.
pub fn parse(text: &str) -> Result<String> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
    if name == "ALL" {
        return Ok("ALL".to_owned());
    }
    if NAMES.contains(&name) {
        return Ok(format!("CAP_{name}"));
    }
    let error = crate::error::Error::usage(format_args!("unknown capability {text:?}"));
    Err(match crate::cli::suggest::nearest(name, NAMES.iter().copied()) {
        Some(near) => error.hint(format_args!("Did you mean CAP_{near}? All names are in capabilities(7).")),
        None => error.hint("All names are in capabilities(7)."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_spelling_becomes_the_kernels() {
        for text in ["net_raw", "CAP_NET_RAW", "Net_Raw"] {
            assert_eq!(parse(text).unwrap(), "CAP_NET_RAW");
        }
        assert_eq!(parse("all").unwrap(), "ALL");
        assert!(parse("NET_ROW").unwrap_err().hints()[0].contains("CAP_NET_RAW"));
    }
}
