//! `--pid`, `--ipc`, `--uts`, `--cgroupns`, `--userns`.

use crate::engine::options::{NamespaceMode, UsernsMode};
use crate::error::Result;

/// A namespace other than user and network. `flag` for the error.
pub fn parse(flag: &str, text: Option<&str>) -> Result<NamespaceMode> {
    let Some(text) = text else { return Ok(NamespaceMode::Private) };
    let bad = |why| super::invalid(flag, text, why, &format!("{flag} host"));
    match text.split_once(':') {
        None => match text {
            "" | "private" => Ok(NamespaceMode::Private),
            // In podman the names say who may join it later; here nobody can.
            "shareable" if flag == "--ipc" => Ok(NamespaceMode::Private),
            "none" if flag == "--ipc" => Err(super::unsupported("--ipc none")),
            "host" => Ok(NamespaceMode::Host),
            _ => Err(bad("one of private, host")),
        },
        Some(("container" | "ns", _)) => Err(super::shared(flag, text, &format!("{flag} host"))),
        Some(_) => Err(bad("one of private, host")),
    }
}

/// `--userns`.
pub fn userns(text: Option<&str>) -> Result<UsernsMode> {
    let Some(text) = text else { return Ok(UsernsMode::Host) };
    let bad = |why| super::invalid("--userns", text, why, "--userns keep-id:uid=1000,gid=1000");
    match text.split_once(':') {
        None => match text {
            "" | "host" => Ok(UsernsMode::Host),
            "keep-id" => Ok(UsernsMode::KeepId { uid: None, gid: None }),
            "nomap" => Ok(UsernsMode::NoMap),
            "auto" | "private" => {
                Err(super::unsupported(format_args!("--userns {text}")).hint("Use host, keep-id or nomap."))
            }
            _ => Err(bad("one of host, keep-id, nomap")),
        },
        Some(("keep-id", options)) => {
            let (mut uid, mut gid) = (None, None);
            for option in options.split(',') {
                let (key, value) =
                    option.split_once('=').ok_or_else(|| bad("options of keep-id are uid=N and gid=N"))?;
                let number = value.parse::<u32>().map_err(|_| bad("a uid or gid is not a number"))?;
                match key {
                    "uid" => uid = Some(number),
                    "gid" => gid = Some(number),
                    "size" => return Err(super::unsupported("--userns keep-id:size=")),
                    _ => return Err(bad("options of keep-id are uid=N and gid=N")),
                }
            }
            Ok(UsernsMode::KeepId { uid, gid })
        }
        Some((mode @ ("auto" | "container" | "ns"), _)) => {
            Err(super::unsupported(format_args!("--userns {mode}:")).hint("Use host, keep-id or nomap."))
        }
        Some(_) => Err(bad("one of host, keep-id, nomap")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        assert_eq!(parse("--pid", None).unwrap(), NamespaceMode::Private);
        assert_eq!(parse("--pid", Some("host")).unwrap(), NamespaceMode::Host);
        for bad in ["shareable", "container:", "container:a", "ns:/proc/1/ns/pid", "wat"] {
            assert!(parse("--pid", Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn user_namespaces() {
        assert_eq!(
            userns(Some("keep-id:uid=5,gid=6")).unwrap(),
            UsernsMode::KeepId { uid: Some(5), gid: Some(6) }
        );
        assert_eq!(userns(None).unwrap(), UsernsMode::Host);
        for bad in ["keep-id:uid", "keep-id:uid=x", "auto", "wat", "container:x", "keep-id:size=5"] {
            assert!(userns(Some(bad)).is_err(), "{bad}");
        }
    }
}
