//! `--security-opt`.

use crate::engine::options::{SeccompOption, SecurityOptions};
use crate::error::Result;
use std::path::Path;

const EXAMPLE: &str = "--security-opt seccomp=profile.json";

/// All `--security-opt` flags; capabilities and privileged come from their own flags.
pub fn parse(flags: &[String], cwd: &Path) -> Result<SecurityOptions> {
    let mut security = SecurityOptions::default();
    for flag in flags {
        one(&mut security, flag, cwd)?;
    }
    Ok(security)
}

fn one(security: &mut SecurityOptions, flag: &str, cwd: &Path) -> Result<()> {
    let bad = |why| super::invalid("--security-opt", flag, why, EXAMPLE);
    // Docker also takes a colon.
    let (key, value) = flag.split_once('=').or_else(|| flag.split_once(':')).unwrap_or((flag, ""));
    let paths = || {
        let paths: Vec<String> = value.split(':').map(str::to_owned).collect();
        if paths.iter().all(|p| p.starts_with('/')) {
            Ok(paths)
        } else {
            Err(bad("paths are absolute, with `:` between"))
        }
    };
    match (key, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        ("seccomp", "unconfined") => security.seccomp = SeccompOption::Unconfined,
        ("seccomp", "default") => security.seccomp = SeccompOption::Default,
        ("seccomp", file) if !file.is_empty() => {
            security.seccomp = SeccompOption::File(super::volume::absolute(file, cwd));
        }
        ("unmask", "ALL" | "all") | ("systempaths", "unconfined") => security.unmask.push("ALL".to_owned()),
        ("unmask", _) => security.unmask.extend(paths()?),
        ("mask", _) => security.mask.extend(paths()?),
        // No LSM label is ever set, so what asks for none is done.
        ("label", "disable") | ("apparmor", "unconfined") => {}
        ("label" | "apparmor" | "proc-opts", _) => {
            return Err(super::unsupported(format_args!("--security-opt {key}={value}")));
        }
        _ => {
            return Err(bad(
                "one of seccomp=, no-new-privileges, mask=, unmask=, label=disable, apparmor=unconfined",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(flags: &[&str]) -> Result<SecurityOptions> {
        parse(&flags.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>(), Path::new("/cwd"))
    }

    #[test]
    fn options() {
        let security =
            all(&["no-new-privileges", "seccomp=p.json", "unmask=/proc/acpi:/sys/firmware", "label=disable"])
                .unwrap();
        assert!(security.no_new_privileges);
        assert_eq!(security.seccomp, SeccompOption::File("/cwd/p.json".into()));
        assert_eq!(security.unmask, ["/proc/acpi", "/sys/firmware"]);
        assert_eq!(all(&["seccomp:unconfined"]).unwrap().seccomp, SeccompOption::Unconfined);
        for bad in ["wat", "mask=x", "apparmor=p", "no-new-privileges=5", "seccomp="] {
            assert!(all(&[bad]).is_err(), "{bad}");
        }
    }
}
