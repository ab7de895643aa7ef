//! `-v [SRC:]CTR[:opts]` and `--tmpfs CTR[:opts]`.

use crate::engine::options::{MountKind, MountOption};
use crate::error::{Error, Result};
use crate::id::VolumeName;
use std::path::Path;

const EXAMPLE: &str = "--volume /data:/data:ro";

/// One `-v`. A source with `/` or `.` in front is a path (relative to `cwd`), anything else a volume's name.
pub fn parse(text: &str, cwd: &Path) -> Result<MountOption> {
    let bad = |why: &str| super::invalid("volume", text, why, EXAMPLE);
    let fields: Vec<&str> = text.split(':').collect();
    let (source, destination, options) = match fields.as_slice() {
        [destination] => (None, *destination, ""),
        // Docker's and podman's rule: two fields are source and destination, an option needs both.
        [source, destination] => (Some(*source), *destination, ""),
        [source, destination, options] => (Some(*source), *destination, *options),
        _ => return Err(bad("too many colons")),
    };
    let kind = match source {
        None | Some("") => MountKind::Volume(None),
        Some(path) if path.starts_with(['/', '.']) => MountKind::Bind(absolute(path, cwd)),
        Some(name) => MountKind::Volume(Some(
            VolumeName::parse(name)
                .map_err(|e| {
                    e.hint(format_args!(
                        "A path on the host starts with `/` or `./`: `--volume ./{name}:{destination}`."
                    ))
                })?
                .as_str()
                .to_owned(),
        )),
    };
    let destination =
        ctr_path(destination).ok_or_else(|| bad("the path in the container is not absolute"))?;
    let mut mount = MountOption { kind, destination, options: Vec::new(), copy_up: true };
    for option in options.split(',').filter(|o| !o.is_empty()) {
        apply(&mut mount, option).map_err(|why| why.wrap(format_args!("cannot use volume {text:?}")))?;
    }
    finish(&mut mount);
    Ok(mount)
}

/// One `--tmpfs`.
pub fn tmpfs(text: &str) -> Result<MountOption> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let destination = ctr_path(path).ok_or_else(|| {
        super::invalid("tmpfs", text, "the path in the container is not absolute", "--tmpfs /tmp:size=64m")
    })?;
    let given: Vec<&str> = options.split(',').filter(|o| !o.is_empty()).collect();
    tmpfs_mount(destination, &given)
}

/// A tmpfs with podman's defaults below what is given.
pub fn tmpfs_mount(destination: String, given: &[&str]) -> Result<MountOption> {
    let mut mount = MountOption { kind: MountKind::Tmpfs, destination, options: Vec::new(), copy_up: true };
    for option in given {
        match *option {
            "tmpcopyup" => mount.copy_up = true,
            "notmpcopyup" => mount.copy_up = false,
            "U" | "chown" => {
                return Err(
                    super::unsupported("the tmpfs option U").hint("Give it an owner: `uid=1000,gid=1000`.")
                );
            }
            "ro" | "rw" | "exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev" | "noatime"
            | "relatime" | "strictatime" | "sync" | "async" | "dirsync" | "noswap" => {
                mount.options.push((*option).to_owned());
            }
            propagation if is_propagation(propagation) => mount.options.push(propagation.to_owned()),
            other => mount.options.push(tmpfs_value(other)?),
        }
    }
    for (default, opposite) in [("rw", "ro"), ("noexec", "exec"), ("nosuid", "suid"), ("nodev", "dev")] {
        if !mount.options.iter().any(|o| o == default || o == opposite) {
            mount.options.push(default.to_owned());
        }
    }
    Ok(mount)
}

/// `size=64m`, `mode=1777`, …: the number is checked here, the kernel gets bytes.
fn tmpfs_value(option: &str) -> Result<String> {
    let unknown = || super::invalid("tmpfs option", option, "unknown", "--tmpfs /tmp:size=64m,mode=1777");
    let (key, value) = option.split_once('=').ok_or_else(unknown)?;
    match key {
        "size" if value.ends_with('%') => Ok(option.to_owned()),
        "size" => Ok(format!("size={}", super::size::bytes("tmpfs size", value)?)),
        "mode" if u32::from_str_radix(value, 8).is_ok_and(|mode| mode <= 0o7777) => Ok(option.to_owned()),
        "mode" => Err(super::invalid("tmpfs mode", value, "not an octal number up to 7777", "mode=1777")),
        "uid" | "gid" | "nr_inodes" | "nr_blocks"
            if value.trim_end_matches(['k', 'm', 'g']).parse::<u64>().is_ok() =>
        {
            Ok(option.to_owned())
        }
        _ => Err(unknown()),
    }
}

/// One option of a bind or a volume.
pub fn apply(mount: &mut MountOption, option: &str) -> Result<()> {
    match option {
        "U" | "U=true" => return Err(no_chown()),
        // No SELinux labels are ever set: there is nothing to relabel to, as on podman without SELinux.
        "z" | "Z" => {}
        "copy" => mount.copy_up = true,
        "nocopy" => mount.copy_up = false,
        "rw" | "ro" | "dev" | "nodev" | "exec" | "noexec" | "suid" | "nosuid" | "bind" | "rbind"
        | "noatime" => {
            mount.options.push(option.to_owned());
        }
        propagation if is_propagation(propagation) => mount.options.push(propagation.to_owned()),
        "O" => return Err(super::unsupported("the volume option O (a temporary overlay)")),
        idmap if idmap == "idmap" || idmap.starts_with("idmap=") => {
            return Err(super::unsupported("the volume option idmap")
                .hint("Change the owner of the files: `coracle unshare chown -R UID:GID DIR`."));
        }
        upper if upper.starts_with("upperdir=") || upper.starts_with("workdir=") => {
            return Err(super::unsupported("the volume option O (a temporary overlay)"));
        }
        other => {
            return Err(super::invalid("volume option", other, "unknown", EXAMPLE));
        }
    }
    Ok(())
}

/// `U` would change files outside of the container, for good, at every start.
pub fn no_chown() -> Error {
    super::unsupported("the volume option U (changing the owner of the source)").hint(
        "Do it once: `coracle unshare chown -R UID:GID DIR`. A new volume belongs to the container's user already.",
    )
}

/// What podman adds: recursive binds, volumes without setuid and devices; and one propagation.
pub fn finish(mount: &mut MountOption) {
    let has = |mount: &MountOption, names: &[&str]| mount.options.iter().any(|o| names.contains(&o.as_str()));
    if matches!(mount.kind, MountKind::Volume(_)) {
        for (default, opposite) in [("nosuid", "suid"), ("nodev", "dev")] {
            if !has(mount, &[default, opposite]) {
                mount.options.push(default.to_owned());
            }
        }
    }
    if !has(mount, &["bind", "rbind"]) {
        mount.options.push("rbind".to_owned());
    }
    if !mount.options.iter().any(|o| is_propagation(o)) {
        mount.options.push("rprivate".to_owned());
    }
}

pub fn is_propagation(option: &str) -> bool {
    matches!(
        option,
        "shared" | "rshared" | "slave" | "rslave" | "private" | "rprivate" | "unbindable" | "runbindable"
    )
}

/// An absolute path in the container without `.`, `..` and double slashes (by text: it does not exist yet).
pub fn ctr_path(text: &str) -> Option<String> {
    let rest = text.strip_prefix('/')?;
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(format!("/{}", parts.join("/")))
}

/// A host path made absolute; symlinks and `..` stay for the kernel.
pub fn absolute(path: &str, cwd: &Path) -> String {
    let joined = cwd.join(path);
    // `components` drops `.` and trailing slashes.
    joined.components().collect::<std::path::PathBuf>().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> MountOption {
        parse(text, Path::new("/cwd")).unwrap()
    }

    #[test]
    fn the_source_decides_the_kind() {
        assert_eq!(volume("/a:/b").kind, MountKind::Bind("/a".into()));
        assert_eq!(volume("./a:/b").kind, MountKind::Bind("/cwd/a".into()));
        assert_eq!(volume(".:/b").kind, MountKind::Bind("/cwd".into()));
        assert_eq!(volume("../a:/b").kind, MountKind::Bind("/cwd/../a".into()));
        assert_eq!(volume("vol:/b").kind, MountKind::Volume(Some("vol".into())));
        assert_eq!(volume("/b").kind, MountKind::Volume(None));
    }

    #[test]
    fn options_are_checked_and_completed() {
        assert_eq!(volume("/a:/b:ro").options, ["ro", "rbind", "rprivate"]);
        assert_eq!(volume("v:/b:exec,Z").options, ["exec", "nosuid", "nodev", "rbind", "rprivate"]);
        assert!(!volume("v:/b:nocopy").copy_up);
        assert_eq!(volume("/a:/b/../c//d/.").destination, "/c/d");
        for bad in ["/a:b", "a/b:/c", "/a:/b:wat", "/a:/b:ro:x", "", "/a:/b:O", "-x:/a"] {
            assert!(parse(bad, Path::new("/cwd")).is_err(), "{bad}");
        }
    }

    #[test]
    fn tmpfs_has_podmans_defaults() {
        assert_eq!(tmpfs("/tmp").unwrap().options, ["rw", "noexec", "nosuid", "nodev"]);
        let mount = tmpfs("/tmp:size=64m,exec,mode=1777").unwrap();
        assert_eq!(mount.options, ["size=67108864", "exec", "mode=1777", "rw", "nosuid", "nodev"]);
        for bad in ["tmp", "/tmp:size=x", "/tmp:mode=9", "/tmp:wat"] {
            assert!(tmpfs(bad).is_err(), "{bad}");
        }
    }
}
