//! `runArgs`, `mounts` and `securityOpt` of a devcontainer.json: flags of `docker run`. Those that a box is like anyway are
//! taken, and so are mounts, variables and a name; every other is refused by its name.

use crate::error::{Error, Result};
use serde_json::Value;

/// What flags ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub name: Option<String>,
    /// As `-v` and `--mount` take them.
    pub volumes: Vec<String>,
    pub mounts: Vec<String>,
    /// `NAME=VALUE`, or the NAME of a variable of the host's.
    pub env: Vec<String>,
    /// Devices by their CDI names, as `--device` takes them.
    pub devices: Vec<String>,
    /// As `--gpus` takes them.
    pub gpus: Vec<String>,
}

/// The words of `runArgs`.
pub fn parse(words: &[String]) -> Result<Asked> {
    let mut asked = Asked::default();
    let mut at = words.iter();
    while let Some(word) = at.next() {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        // A box has that: its payload is not confined, and processes without a parent are reaped.
        if matches!(word.as_str(), "--init" | "--privileged") {
            continue;
        }
        let known = [
            "--name",
            "--volume",
            "-v",
            "--mount",
            "--env",
            "-e",
            "--network",
            "--net",
            "--ipc",
            "--pid",
            "--userns",
            "--cap-add",
            "--security-opt",
            "--device",
            "--gpus",
        ];
        if !known.contains(&flag) {
            return Err(refused("runArgs", word));
        }
        let value = inline.or_else(|| at.next().cloned()).ok_or_else(|| {
            Error::usage(format_args!("runArgs: {flag} wants a value"))
                .hint(format_args!("Write it as `\"{flag}=VALUE\"`, or as the next word."))
        })?;
        match flag {
            "--name" => asked.name = Some(value),
            "--volume" | "-v" => asked.volumes.push(value),
            "--mount" => asked.mounts.push(value),
            "--env" | "-e" => asked.env.push(value),
            "--security-opt" => security("runArgs", &value)?,
            "--network" | "--net" | "--ipc" | "--pid" if value == "host" => {}
            "--userns" if value == "keep-id" => {}
            "--cap-add" => {}
            "--device" if same_device(&value) => {}
            "--device" if !value.starts_with('/') => asked.devices.push(value),
            "--gpus" => asked.gpus.extend(value.split(',').map(str::to_owned)),
            _ => return Err(refused("runArgs", &format!("{flag}={value}"))),
        }
    }
    Ok(asked)
}

/// A device of the host's under its own name: a box has the host's /dev.
fn same_device(text: &str) -> bool {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or("");
    source.starts_with("/dev/") && parts.next().is_none_or(|place| place == source || !place.starts_with('/'))
}

/// One `securityOpt`: what takes confinement away.
pub fn security(key: &str, text: &str) -> Result<()> {
    match text.replace(':', "=").as_str() {
        "seccomp=unconfined" | "apparmor=unconfined" | "label=disable" => Ok(()),
        _ => Err(refused(key, text)),
    }
}

fn refused(key: &str, word: &str) -> Error {
    Error::usage(format_args!("{key}: {word} is not for boxes")).hint(
        "Leave it out. A box has the host's network, processes and devices, and its root has all capabilities; \
         it can be given mounts (-v, --mount), variables (-e), --gpus and a --name.",
    )
}

/// One of `mounts`, as `--mount` takes it: a text, or an object with type, source and target.
pub fn mount(value: &Value) -> Result<String> {
    let bad = || {
        Error::usage(format_args!("{value} is no mount"))
            .hint("For example: `\"mounts\": [\"type=bind,source=/data,target=/data\"]`.")
    };
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Object(fields) => {
            let all: Vec<String> = fields
                .iter()
                .map(|(key, value)| match (key.as_str(), value) {
                    ("type" | "source" | "target", Value::String(text)) => Ok(field(key, text)),
                    _ => Err(bad()),
                })
                .collect::<Result<_>>()?;
            Ok(all.join(","))
        }
        _ => Err(bad()),
    }
}

/// A field of a line of CSV.
pub fn field(key: &str, value: &str) -> String {
    let text = format!("{key}={value}");
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_box_is_like_anyway_is_taken() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let asked = parse(&words(
            "--name n -v /a:/b --mount=type=tmpfs,dst=/t -e A=b --env C --init --network=host --cap-add SYS_PTRACE \
             --security-opt seccomp=unconfined --device /dev/kvm --device=/dev/fuse:rwm --userns=keep-id \
             --device story.org/dev=a --gpus 0,1",
        ))
        .unwrap();
        assert_eq!(asked.name.as_deref(), Some("n"));
        assert_eq!((asked.volumes, asked.mounts), (vec!["/a:/b".into()], vec!["type=tmpfs,dst=/t".into()]));
        assert_eq!(asked.env, ["A=b", "C"]);
        assert_eq!(
            (asked.devices, asked.gpus),
            (vec!["story.org/dev=a".into()], vec!["0".into(), "1".into()])
        );
        for bad in [
            "--memory=1g",
            "--network=none",
            "--rm",
            "-v",
            "x",
            "--device /dev/a:/dev/b",
            "--security-opt label=x",
            "--init=false",
        ] {
            assert!(parse(&words(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn mounts_are_lines_of_csv() {
        let text = mount(&json!({"type": "bind", "source": "/a,\"b", "target": "/c"})).unwrap();
        assert_eq!(text, "\"source=/a,\"\"b\",target=/c,type=bind");
        for bad in [json!(1), json!({"type": 1}), json!({"external": "true"})] {
            assert!(mount(&bad).is_err());
        }
    }
}
