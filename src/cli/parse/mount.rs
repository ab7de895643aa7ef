//! `--mount type=bind|volume|tmpfs|devpts,src=…,dst=…,…`.

use super::volume::{absolute, apply, ctr_path, finish, is_propagation, tmpfs_mount};
use crate::engine::options::{MountKind, MountOption};
use crate::error::Result;
use crate::id::VolumeName;
use std::path::Path;

const EXAMPLE: &str = "--mount type=bind,src=/data,dst=/data,ro";

/// One `--mount`; relative sources start from `cwd`.
pub fn parse(text: &str, cwd: &Path) -> Result<MountOption> {
    let bad = |why: String| super::invalid("mount", text, why, EXAMPLE);
    let mut kind = "volume".to_owned();
    let mut source = None;
    let mut destination = None;
    let mut options = Vec::new();
    for field in super::csv::split(text)? {
        let (key, value) = field.split_once('=').map_or((field.as_str(), None), |(k, v)| (k, Some(v)));
        let wanted = || {
            value
                .filter(|v| !v.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| bad(format!("{key} wants a value")))
        };
        match key {
            "type" => kind = wanted()?,
            "src" | "source" => source = Some(wanted()?),
            "dst" | "dest" | "destination" | "target" => destination = Some(wanted()?),
            _ => options.push((key.to_owned(), value.map(str::to_owned))),
        }
    }
    let destination = destination.ok_or_else(|| bad("no dst=".to_owned()))?;
    let destination = ctr_path(&destination).ok_or_else(|| bad("dst is not absolute".to_owned()))?;
    if kind == "tmpfs" {
        if source.is_some() {
            return Err(bad("a tmpfs has no source".to_owned()));
        }
        return tmpfs(text, destination, &options);
    }
    if kind == "devpts" {
        if let Some((key, _)) = options.first() {
            return Err(super::unsupported(format_args!("the option {key} of --mount type=devpts")));
        }
        if source.is_some() {
            return Err(bad("a devpts has no source".to_owned()));
        }
        return Ok(MountOption { kind: MountKind::Devpts, destination, options: Vec::new(), copy_up: false });
    }
    let kind = match kind.as_str() {
        "bind" => MountKind::Bind(absolute(&source.ok_or_else(|| bad("a bind wants src=".to_owned()))?, cwd)),
        "volume" => {
            MountKind::Volume(source.map(|name| VolumeName::parse(&name).map(String::from)).transpose()?)
        }
        "glob" | "image" | "ramfs" | "artifact" => {
            return Err(super::unsupported(format_args!("--mount type={kind}")));
        }
        other => return Err(bad(format!("unknown type {other:?}; one of bind, volume, tmpfs, devpts"))),
    };
    let mut mount = MountOption { kind, destination, options: Vec::new(), copy_up: true };
    for (key, value) in &options {
        option(&mut mount, key, value.as_deref())
            .map_err(|e| e.wrap(format_args!("cannot use --mount {text}")))?;
    }
    finish(&mut mount);
    Ok(mount)
}

/// One option of a bind or volume mount.
fn option(mount: &mut MountOption, key: &str, value: Option<&str>) -> Result<()> {
    let bind = matches!(mount.kind, MountKind::Bind(_));
    match (key, value) {
        ("ro" | "readonly", value) => {
            mount.options.push(if truth(key, value)? { "ro" } else { "rw" }.to_owned());
        }
        ("rw", value) => mount.options.push(if truth(key, value)? { "rw" } else { "ro" }.to_owned()),
        ("U" | "chown", value) if !truth(key, value)? => {}
        ("U" | "chown", _) => return Err(super::volume::no_chown()),
        ("bind-propagation", Some(value)) if bind && is_propagation(value) => {
            mount.options.push(value.to_owned());
        }
        ("bind-nonrecursive", value) if bind => {
            mount.options.push(if truth(key, value)? { "bind" } else { "rbind" }.to_owned());
        }
        // Without SELinux labels there is nothing to relabel to.
        ("relabel", Some("shared" | "private")) => {}
        ("volume-nocopy" | "nocopy", value) if !bind => mount.copy_up = !truth(key, value)?,
        ("consistency", Some(_)) if bind => {}
        (
            "subpath" | "volume-subpath" | "no-dereference" | "volume-label" | "volume-driver" | "volume-opt",
            _,
        ) => {
            return Err(super::unsupported(format_args!("the mount option {key}")));
        }
        (key, None) => return apply(mount, key),
        (key, Some(value)) => {
            return Err(super::invalid("mount option", &format!("{key}={value}"), "unknown", EXAMPLE));
        }
    }
    Ok(())
}

fn tmpfs(text: &str, destination: String, options: &[(String, Option<String>)]) -> Result<MountOption> {
    let mut given = Vec::new();
    for (key, value) in options {
        given.push(match (key.as_str(), value.as_deref()) {
            ("tmpfs-size", Some(value)) => format!("size={value}"),
            ("tmpfs-mode", Some(value)) => format!("mode={value}"),
            ("ro" | "readonly", value) => if truth(key, value)? { "ro" } else { "rw" }.to_owned(),
            (key, Some(value)) => format!("{key}={value}"),
            (key, None) => key.to_owned(),
        });
    }
    let given: Vec<&str> = given.iter().map(String::as_str).collect();
    tmpfs_mount(destination, &given).map_err(|e| e.wrap(format_args!("cannot use --mount {text}")))
}

fn truth(key: &str, value: Option<&str>) -> Result<bool> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(other) => {
            Err(super::invalid("mount option", &format!("{key}={other}"), "neither true nor false", EXAMPLE))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(text: &str) -> MountOption {
        parse(text, Path::new("/cwd")).unwrap()
    }

    #[test]
    fn binds_volumes_and_tmpfs() {
        let bind = mount("type=bind,src=./a,target=/b,readonly,bind-propagation=rslave");
        assert_eq!(bind.kind, MountKind::Bind("/cwd/a".into()));
        assert_eq!(bind.options, ["ro", "rslave", "rbind"]);
        assert_eq!(mount("src=v,dst=/b").kind, MountKind::Volume(Some("v".into())));
        assert_eq!(mount("type=volume,dst=/b").kind, MountKind::Volume(None));
        let tmpfs = mount("type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700,ro=true");
        assert_eq!(tmpfs.options, ["size=1048576", "mode=700", "ro", "noexec", "nosuid", "nodev"]);
        assert_eq!(mount("type=bind,\"src=/a,b\",dst=/c").kind, MountKind::Bind("/a,b".into()));
    }

    #[test]
    fn bad_mounts_are_refused() {
        for bad in [
            "type=bind,dst=/a",
            "type=bind,src=/a",
            "src=v,dst=b",
            "type=disk,dst=/a",
            "type=glob,src=/a*,dst=/b",
            "type=bind,src=/a,dst=/b,ro=maybe",
            "type=tmpfs,src=/a,dst=/b",
            "type=volume,src=a/b,dst=/c",
            "type=bind,src=/a,dst=/b,wat=1",
        ] {
            assert!(parse(bad, Path::new("/cwd")).is_err(), "{bad}");
        }
    }
}
