//! The command lines of `coracle host` and `flatpak-spawn --host`: by hand, for they are read by the small program in a box.

use super::Command;
use crate::error::{Error, Result};

/// `coracle host [OPTIONS] COMMAND [ARG...]`, without the first two. None: help is wanted.
pub(super) fn host(words: &[String]) -> Result<Option<Command>> {
    let mut wanted = Command::default();
    let mut at = words.iter();
    while let Some(word) = at.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let mut value = || {
            inline.clone().or_else(|| at.next().cloned()).ok_or_else(|| {
                Error::usage(format_args!("a value is required for '{flag}'"))
                    .hint("For example: `coracle host --env A=b --workdir /srv make`.")
            })
        };
        match flag {
            "-h" | "--help" => return Ok(None),
            "-e" | "--env" => wanted.env.push(pair(&value()?)),
            "-w" | "--workdir" => wanted.directory = Some(value()?),
            "--" => {
                wanted.args = at.cloned().collect();
                break;
            }
            _ if word.starts_with('-') => {
                return Err(Error::usage(format_args!("unknown flag: {word}"))
                    .hint("See the flags with `coracle host --help`."));
            }
            _ => {
                wanted.args = std::iter::once(word).chain(at).cloned().collect();
                break;
            }
        }
    }
    if wanted.args.is_empty() {
        return Err(no_command());
    }
    Ok(Some(wanted))
}

pub(super) fn no_command() -> Error {
    Error::usage("no command given").hint("For example: `coracle host systemctl --user status`.")
}

/// flatpak-spawn(1), with `--host` alone.
pub(super) fn flatpak_spawn(words: &[String]) -> Result<Command> {
    let mut wanted = Command::default();
    let mut host = false;
    let mut at = words.iter();
    for word in at.by_ref() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("--host", "") => host = true,
            // Ours always end with their caller.
            ("--watch-bus", "") => {}
            ("--clear-env", "") => wanted.clear = true,
            ("--env", setting) => wanted.env.push(pair(setting)),
            ("--unset-env", name) => wanted.unset.push(name.to_owned()),
            ("--directory", directory) => wanted.directory = Some(directory.to_owned()),
            ("--", "") => break,
            _ if word.starts_with('-') => {
                return Err(Error::usage(format_args!(
                    "flatpak-spawn: {word} is not known in coracle's boxes"
                ))
                .hint("It knows --host --watch-bus --clear-env --env= --unset-env= and --directory=."));
            }
            _ => {
                wanted.args.push(word.clone());
                break;
            }
        }
    }
    wanted.args.extend(at.cloned());
    if !host {
        return Err(Error::usage("flatpak-spawn: a box has no sandboxes of flatpak's")
            .hint("Run a command on the host with `flatpak-spawn --host COMMAND`."));
    }
    if wanted.args.is_empty() {
        return Err(no_command());
    }
    Ok(wanted)
}

/// `NAME=VALUE`; NAME alone is empty.
fn pair(setting: &str) -> (String, String) {
    let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_end_at_the_command() {
        let c = host(&words("-e A=b --env=C=d -w /srv make -w x")).unwrap().unwrap();
        assert_eq!(c.args, ["make", "-w", "x"]);
        assert_eq!(c.env, [("A".to_owned(), "b".to_owned()), ("C".to_owned(), "d".to_owned())]);
        assert_eq!(c.directory.as_deref(), Some("/srv"));
        assert_eq!(host(&words("-- -x")).unwrap().unwrap().args, ["-x"]);
        assert!(host(&words("--help ls")).unwrap().is_none());
        for bad in ["", "-e", "--what ls", "--"] {
            assert!(host(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn flatpak_spawn_knows_the_host_alone() {
        let c = flatpak_spawn(&words("--host --env=A=b --directory=/ --watch-bus ls --host")).unwrap();
        assert_eq!((c.args, c.directory.as_deref()), (words("ls --host"), Some("/")));
        for bad in ["ls", "--host", "--host --forward-fd=3 ls", "--sandbox ls"] {
            assert!(flatpak_spawn(&words(bad)).is_err(), "{bad}");
        }
    }
}
