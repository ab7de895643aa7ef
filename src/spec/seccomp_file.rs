//! Seccomp profiles in the Docker/containers JSON format, as users write them: reduced to what applies to one container
//! on this machine, they are OCI profiles.

use std::path::PathBuf;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::Deserialize;

use super::seccomp_profile::native_architectures;
use crate::error::{Error, Result};

/// A profile file: what Docker and podman read. The plain OCI form is a part of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileFile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    /// The errno by name; it wins over the number.
    default_errno: Option<String>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<ProfileEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMap {
    architecture: Arch,
    #[serde(default)]
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProfileEntry {
    #[serde(default)]
    name: String,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<LinuxSeccompArg>>,
    #[serde(default)]
    includes: Option<Filter>,
    #[serde(default)]
    excludes: Option<Filter>,
}

/// Which containers and machines an entry is for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// A user's profile in the Docker/containers JSON format, for a container with these capabilities.
pub fn parse_profile(json: &[u8], caps: &[String]) -> Result<LinuxSeccomp> {
    let file: ProfileFile =
        serde_json::from_slice(json).map_err(|e| Error::usage("cannot read the seccomp profile").cause(e))?;
    let machine = Machine { caps, arch: go_architecture(), kernel: running_kernel() };
    profile_for(file, &machine)
}

/// What the conditions of a profile ask about.
#[derive(Debug)]
struct Machine<'a> {
    caps: &'a [String],
    arch: &'a str,
    kernel: (u64, u64),
}

fn profile_for(file: ProfileFile, machine: &Machine<'_>) -> Result<LinuxSeccomp> {
    let mut syscalls = Vec::new();
    for (index, entry) in file.syscalls.unwrap_or_default().into_iter().enumerate() {
        let at = |e: Error| e.wrap(format!("seccomp profile: syscalls[{index}]"));
        if !applies(&entry, machine).map_err(at)? {
            continue;
        }
        let mut names = entry.names.unwrap_or_default();
        if !entry.name.is_empty() {
            if !names.is_empty() {
                return Err(at(Error::usage("`name` and `names` exclude each other")));
            }
            names.push(entry.name);
        }
        let mut syscall = LinuxSyscall::default();
        syscall
            .set_names(names)
            .set_action(entry.action)
            .set_errno_ret(errno_number(entry.errno.as_deref(), entry.errno_ret).map_err(at)?)
            .set_args(entry.args.filter(|args| !args.is_empty()));
        syscalls.push(syscall);
    }
    let architectures = match (file.architectures, file.arch_map) {
        (Some(listed), Some(map)) if !listed.is_empty() && !map.is_empty() => {
            return Err(Error::usage("seccomp profile: `architectures` and `archMap` exclude each other"));
        }
        (Some(listed), _) if !listed.is_empty() => Some(listed),
        (_, map) => mapped_architectures(map.unwrap_or_default()),
    };
    let mut profile = LinuxSeccomp::default();
    profile
        .set_default_action(file.default_action)
        .set_default_errno_ret(
            errno_number(file.default_errno.as_deref(), file.default_errno_ret)
                .map_err(|e| e.wrap("seccomp profile: defaultErrno"))?,
        )
        .set_architectures(architectures)
        .set_flags(file.flags)
        .set_listener_path(file.listener_path)
        .set_listener_metadata(file.listener_metadata)
        .set_syscalls(Some(syscalls));
    Ok(profile)
}

/// The line of the map for this machine.
fn mapped_architectures(map: Vec<ArchMap>) -> Option<Vec<Arch>> {
    let native = native_architectures();
    let line = map.into_iter().find(|line| native.first() == Some(&line.architecture))?;
    let mut all = vec![line.architecture];
    all.extend(line.sub_architectures.unwrap_or_default());
    Some(all)
}

fn applies(entry: &ProfileEntry, machine: &Machine<'_>) -> Result<bool> {
    let any_of = |wanted: &Option<Vec<String>>, have: &dyn Fn(&str) -> bool| -> Option<bool> {
        let wanted = wanted.as_ref().filter(|list| !list.is_empty())?;
        Some(wanted.iter().any(|item| have(item)))
    };
    let has_cap = |cap: &str| machine.caps.iter().any(|have| have == cap);
    let is_arch = |arch: &str| arch == machine.arch;
    let none = Filter::default();
    let includes = entry.includes.as_ref().unwrap_or(&none);
    let excludes = entry.excludes.as_ref().unwrap_or(&none);

    let has_all = includes.caps.iter().flatten().all(|cap| has_cap(cap));
    let on_arch = any_of(&includes.arches, &is_arch).unwrap_or(true);
    let new_enough = match &includes.min_kernel {
        Some(version) => machine.kernel >= kernel_version(version)?,
        None => true,
    };
    let excluded = any_of(&excludes.caps, &has_cap).unwrap_or(false)
        || any_of(&excludes.arches, &is_arch).unwrap_or(false)
        || match &excludes.min_kernel {
            Some(version) => machine.kernel >= kernel_version(version)?,
            None => false,
        };
    Ok(has_all && on_arch && new_enough && !excluded)
}

/// podman writes errnos by name beside Docker's number.
fn errno_number(name: Option<&str>, number: Option<u32>) -> Result<Option<u32>> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(number) };
    let canonical = match name {
        "EWOULDBLOCK" => "EAGAIN",
        "EDEADLOCK" => "EDEADLK",
        "ENOTSUP" => "EOPNOTSUPP",
        name => name,
    };
    (1..=133)
        .find(|n| format!("{:?}", nix::errno::Errno::from_raw(*n)) == canonical)
        .and_then(|n| u32::try_from(n).ok())
        .map(Some)
        .ok_or_else(|| Error::usage(format!("unknown errno `{name}`")))
}

/// As profiles write it: `amd64`.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "x86",
        "aarch64" => "arm64",
        other => other,
    }
}

fn running_kernel() -> (u64, u64) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    // A kernel that names itself oddly is taken for a new one.
    kernel_version(&release).unwrap_or((u64::MAX, 0))
}

/// `6.1.0-13-amd64` → (6, 1).
fn kernel_version(text: &str) -> Result<(u64, u64)> {
    let wrong =
        || Error::usage(format!("wrong kernel version `{text}`: it begins with two numbers, as in `4.8`"));
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    let mut number = || parts.next().and_then(|part| part.parse().ok()).ok_or_else(wrong);
    Ok((number()?, number()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_docker_profile_is_reduced_to_what_applies_here() {
        let json = br#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS","defaultErrnoRet":1,
            "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
                       {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
            "syscalls":[
              {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[],"comment":"","includes":{},"excludes":{}},
              {"name":"chroot","action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_CHROOT"]}},
              {"names":["mount"],"action":"SCMP_ACT_ERRNO","errno":"EPERM","excludes":{"caps":["CAP_SYS_CHROOT"]}},
              {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},
              {"names":["bpf"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"999.0"}},
              {"names":["s390_runtime_instr"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}}]}"#;
        let profile = parse_profile(json, &["CAP_SYS_CHROOT".to_owned()]).unwrap();
        let names: Vec<_> = profile.syscalls().iter().flatten().flat_map(|e| e.names().clone()).collect();
        assert_eq!(names, ["read", "chroot", "ptrace"]);
        assert_eq!(profile.default_errno_ret(), Some(38));
        assert_eq!(profile.architectures().as_ref().map(Vec::len), Some(2));
    }

    #[test]
    fn a_wrong_profile_says_what_is_wrong() {
        let error = parse_profile(br#"{"defaultAction":"SCMP_ACT_ALOW"}"#, &[]).unwrap_err();
        assert_eq!(error.what(), "cannot read the seccomp profile");
        assert!(error.causes().iter().any(|cause| cause.contains("SCMP_ACT_ALOW")), "{error}");
        let error = parse_profile(
            br#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ERRNO","errno":"EFOO"}]}"#,
            &[],
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "seccomp profile: syscalls[0]: unknown errno `EFOO`");
    }
}
