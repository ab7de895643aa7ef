//! Which flags each verb has, and cutting a command line into verb, flags and operands.
//!
//! Tables, so that a flag is one line. A flag that we know and that does nothing here is marked with the reason; an unknown
//! one is an error.

use crate::error::{Error, Result};
use lexopt::Arg;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// A flag: long name, short name, whether it takes a value.
pub type Flag = (&'static str, Option<char>, bool);

/// Before or after the verb.
pub const GLOBAL: &[Flag] = &[
    ("root", None, true),
    ("log", None, true),
    ("log-format", None, true),
    ("log-only", None, false), // coracle's own: an exec's stderr belongs to its process
    ("log-level", None, true),
    ("debug", None, false),
    ("systemd-cgroup", None, false),
    ("cgroup-manager", None, true),
    ("rootless", None, true),
    ("criu", None, true), // runc ignores it too: criu is found in PATH
    ("version", Some('v'), false),
    ("help", Some('h'), false),
];

const CREATE: &[Flag] = &[
    ("bundle", Some('b'), true),
    ("config", Some('f'), true),
    ("console-socket", None, true),
    ("pidfd-socket", None, true),
    ("pid-file", None, true),
    ("no-pivot", None, false),
    ("no-new-keyring", None, false),
    ("preserve-fds", None, true),
    ("no-subreaper", None, false), // we are none
];

const EXEC: &[Flag] = &[
    ("process", Some('p'), true),
    ("detach", Some('d'), false),
    ("pid-file", None, true),
    ("console-socket", None, true),
    ("pidfd-socket", None, true),
    ("tty", Some('t'), false),
    ("cwd", None, true),
    ("env", Some('e'), true),
    ("user", Some('u'), true),
    ("additional-gids", Some('g'), true),
    ("cap", Some('c'), true),
    ("no-new-privs", None, false),
    ("process-label", None, true),
    ("apparmor", None, true),
    ("preserve-fds", None, true),
    ("cgroup", None, true),
    ("ignore-paused", None, false),
];

const UPDATE: &[Flag] = &[
    ("resources", Some('r'), true),
    ("blkio-weight", None, true),
    ("cpu-period", None, true),
    ("cpu-quota", None, true),
    ("cpu-burst", None, true),
    ("cpu-share", None, true),
    ("cpu-idle", None, true),
    ("cpu-rt-period", None, true),
    ("cpu-rt-runtime", None, true),
    ("cpuset-cpus", None, true),
    ("cpuset-mems", None, true),
    ("memory", None, true),
    ("memory-reservation", None, true),
    ("memory-swap", None, true),
    ("kernel-memory", None, true), // Linux has no such limit any more: refused, unless it takes one away
    ("kernel-memory-tcp", None, true),
    ("l3-cache-schema", None, true),
    ("mem-bw-schema", None, true),
    ("pids-limit", None, true),
];

/// For criu, before and after.
const CRIU: &[Flag] = &[
    ("image-path", None, true),
    ("work-path", None, true),
    ("tcp-established", None, false),
    ("ext-unix-sk", None, false),
    ("shell-job", None, false),
    ("file-locks", None, false),
    ("link-remap", None, false),
    ("auto-dedup", None, false),
    ("lazy-pages", None, false),
    ("manage-cgroups-mode", None, true),
    ("empty-ns", None, true),
];

const CHECKPOINT: &[Flag] = &[
    ("parent-path", None, true),
    ("leave-running", None, false),
    ("pre-dump", None, false),
    ("tcp-skip-in-flight", None, false),
    ("page-server", None, true),
    ("status-fd", None, true),
];

const RESTORE: &[Flag] = &[
    ("bundle", Some('b'), true),
    ("config", Some('f'), true),
    ("detach", Some('d'), false),
    ("keep", None, false),
    ("pid-file", None, true),
    ("console-socket", None, true),
    ("pidfd-socket", None, true),
    ("no-subreaper", None, false), // we are none
    ("no-pivot", None, false),     // the root file system is criu's matter
    ("lsm-profile", None, true),
    ("lsm-mount-context", None, true),
];

/// All the flags of a verb.
pub fn flags_of(name: &str) -> Vec<Flag> {
    let own = VERBS.iter().find(|(verb, _)| *verb == name).map_or(&[] as &[Flag], |(_, own)| own);
    own.iter().chain(shared(name)).copied().collect()
}

/// What a verb has in common with another one.
fn shared(name: &str) -> &'static [Flag] {
    match name {
        "run" => CREATE,
        "checkpoint" | "restore" => CRIU,
        _ => &[],
    }
}

/// Every verb with its flags.
pub const VERBS: &[(&str, &[Flag])] = &[
    ("create", CREATE),
    ("run", &[("detach", Some('d'), false), ("keep", None, false)]), // and those of create
    ("start", &[]),
    ("state", &[]),
    ("kill", &[("all", Some('a'), false)]),
    ("delete", &[("force", Some('f'), false), ("regex", Some('r'), false)]),
    ("exec", EXEC),
    ("list", &[("format", Some('f'), true), ("quiet", Some('q'), false)]),
    ("ps", &[("format", Some('f'), true)]),
    ("pause", &[]),
    ("resume", &[]),
    ("update", UPDATE),
    ("events", &[("interval", None, true), ("stats", None, false)]),
    ("checkpoint", CHECKPOINT), // and those for criu
    ("restore", RESTORE),
    ("features", &[]),
    ("spec", &[("bundle", Some('b'), true), ("rootless", None, false)]),
];

/// A command line, cut up.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Empty for `--version` and `--help` alone.
    pub verb: String,
    values: BTreeMap<&'static str, Vec<OsString>>,
    pub operands: Vec<OsString>,
}

impl Parsed {
    /// Whether a flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.values.contains_key(flag)
    }

    /// A flag's last value.
    pub fn value(&self, flag: &str) -> Option<&OsString> {
        self.values.get(flag).and_then(|all| all.last())
    }

    /// All the values of a flag.
    pub fn values(&self, flag: &str) -> impl Iterator<Item = &OsString> {
        self.values.get(flag).into_iter().flatten()
    }

    /// A flag's last value as text.
    pub fn text(&self, flag: &str) -> Result<Option<&str>> {
        let Some(value) = self.value(flag) else { return Ok(None) };
        value
            .to_str()
            .map(Some)
            .ok_or_else(|| Error::usage(format_args!("the value of --{flag} is not UTF-8")))
    }

    /// A flag's last value as a number.
    pub fn number<T: std::str::FromStr>(&self, flag: &str) -> Result<Option<T>> {
        let Some(text) = self.text(flag)? else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|_| Error::usage(format_args!("invalid value {text:?} for flag --{flag}: not a number")))
    }
}

/// Cuts `args` up. `exec` stops at the command: its flags are the payload's.
pub fn parse(args: Vec<OsString>) -> Result<Parsed> {
    let mut parsed = Parsed::default();
    let mut flags: Vec<Flag> = GLOBAL.to_vec();
    let mut parser = lexopt::Parser::from_args(with_two_dashes(args));
    while let Some(arg) = parser.next().map_err(Error::usage)? {
        let flag = match arg {
            Arg::Value(value) if parsed.verb.is_empty() => {
                parsed.verb = verb(&value, &mut flags)?;
                continue;
            }
            Arg::Value(value) => {
                parsed.operands.push(value);
                let stops = match parsed.verb.as_str() {
                    "exec" => parsed.operands.len() >= 2,
                    // What follows the id is for the host's ps.
                    "ps" => true,
                    _ => false,
                };
                if stops {
                    let rest = parser.raw_args().map_err(Error::usage)?;
                    parsed.operands.extend(rest);
                    break;
                }
                continue;
            }
            // A verb's own flag before a global one of the same name (--rootless).
            Arg::Long(name) => flags.iter().rev().find(|(long, _, _)| *long == name),
            Arg::Short(letter) => flags.iter().rev().find(|(_, short, _)| *short == Some(letter)),
        };
        let Some(&(name, _, takes_value)) = flag else {
            return Err(Error::usage(format_args!("flag provided but not defined: {}", shown(&arg))));
        };
        let value = if takes_value {
            parser.value().map_err(|_| Error::usage(format_args!("flag needs an argument: --{name}")))?
        } else {
            match parser.optional_value() {
                Some(value) if value == "false" => continue,
                Some(value) => value,
                None => OsString::new(),
            }
        };
        parsed.values.entry(name).or_default().push(value);
    }
    Ok(parsed)
}

fn shown(arg: &Arg<'_>) -> String {
    match arg {
        Arg::Long(name) => format!("--{name}"),
        Arg::Short(letter) => format!("-{letter}"),
        Arg::Value(value) => value.to_string_lossy().into_owned(),
    }
}

fn verb(word: &OsString, flags: &mut Vec<Flag>) -> Result<String> {
    let name = word.to_string_lossy().into_owned();
    let (_, own) = VERBS.iter().find(|(verb, _)| *verb == name).ok_or_else(|| {
        let all: Vec<&str> = VERBS.iter().map(|(verb, _)| *verb).collect();
        Error::usage(format_args!("No help topic for '{name}'"))
            .hint(format_args!("The commands are {}.", all.join(", ")))
    })?;
    flags.extend_from_slice(own);
    flags.extend_from_slice(shared(&name));
    Ok(name)
}

/// Go's flag style: `-no-subreaper` is `--no-subreaper`. Only names that are long flags of ours, and never in the payload's
/// command: what follows the second operand of `exec` stays as it is.
fn with_two_dashes(args: Vec<OsString>) -> Vec<OsString> {
    let is_exec = args.iter().any(|arg| arg == "exec");
    let mut plain = 0; // operands so far; a value of a flag counts too, which only makes us stop earlier
    let convert = |arg: OsString| {
        let Some(text) = arg.to_str() else { return arg };
        let Some(name) = text.strip_prefix('-') else {
            plain += usize::from(is_exec && text != "exec");
            return arg;
        };
        let long = name.split('=').next().unwrap_or(name);
        let known = |flags: &[Flag]| flags.iter().any(|(flag, _, _)| *flag == long);
        let ours = known(GLOBAL) || known(CRIU) || VERBS.iter().any(|(_, flags)| known(flags));
        if long.len() > 1 && ours && plain < 2 { format!("-{text}").into() } else { arg }
    };
    args.into_iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(line: &str) -> Parsed {
        parse(line.split(' ').map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn flags_stand_before_or_after_the_id() {
        for line in [
            "--root=/r --systemd-cgroup create --bundle /b --pid-file=/p c1",
            "create c1 -b /b --pid-file /p --root /r --systemd-cgroup",
            "-root /r -systemd-cgroup create -bundle=/b -pid-file /p c1",
        ] {
            let parsed = cut(line);
            assert_eq!(parsed.verb, "create", "{line}");
            assert_eq!(parsed.operands, ["c1"], "{line}");
            assert_eq!(parsed.value("bundle").unwrap(), "/b", "{line}");
            assert_eq!(parsed.value("pid-file").unwrap(), "/p", "{line}");
            assert_eq!(parsed.value("root").unwrap(), "/r", "{line}");
            assert!(parsed.has("systemd-cgroup"), "{line}");
        }
    }

    #[test]
    fn exec_leaves_the_payloads_flags_alone() {
        let parsed = cut("exec -t --cwd / c1 ls -l --root x -a");
        assert_eq!(parsed.operands, ["c1", "ls", "-l", "--root", "x", "-a"]);
        assert!(parsed.has("tty"));
        assert!(!parsed.has("root"));
    }

    #[test]
    fn callers_probe_for_these_words() {
        let error = parse(vec!["create".into(), "--bundle".into()]).unwrap_err();
        assert_eq!(error.to_string(), "flag needs an argument: --bundle");
        assert!(parse(vec!["bogus".into()]).unwrap_err().to_string().starts_with("No help topic for"));
        assert!(parse(vec!["start".into(), "--nope".into()]).is_err());
    }
}
