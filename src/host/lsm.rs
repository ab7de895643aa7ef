//! What restricts this process from outside: SELinux, AppArmor, seccomp, no_new_privs, an outer container.

use super::{Probe, Report, sysctl};
use std::path::Path;

pub(super) fn probe(report: &mut Report) {
    report.probes.push(security_modules());
    report.probes.push(nested());
}

fn security_modules() -> Probe {
    if let Some(mode) = selinux_mode() {
        return Probe::pass(
            "lsm",
            format!("SELinux {mode}: volumes need :z or :Z where their label forbids access"),
        );
    }
    if !apparmor_enabled() {
        return Probe::pass("lsm", "neither SELinux nor AppArmor is on");
    }
    let profile = std::fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let profile = profile.trim_end_matches(['\n', '\0']);
    let restricted = sysctl("kernel.apparmor_restrict_unprivileged_userns") == Some(1);
    let rule = if restricted { "; user namespaces need a profile" } else { "" };
    Probe::pass("lsm", format!("AppArmor on, this program runs as {profile:?}{rule}"))
}

/// `enforcing` or `permissive`. None: SELinux is off.
pub fn selinux_mode() -> Option<&'static str> {
    let enforce = std::fs::read_to_string("/sys/fs/selinux/enforce").ok()?;
    Some(if enforce.trim() == "1" { "enforcing" } else { "permissive" })
}

/// Whether AppArmor is on.
pub fn apparmor_enabled() -> bool {
    std::fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.trim() == "Y")
}

/// Writes and loads a profile that allows user namespaces to the two binaries at this place.
pub(super) fn apparmor_fix(program: &Path) -> String {
    let dir = program.parent().unwrap_or(Path::new("/usr/bin")).display();
    format!(
        "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile coracle {dir}/{{coracle,coracle-oci}} flags=(unconfined) {{\\n  userns,\\n}}\\n' > /etc/apparmor.d/coracle && apparmor_parser -r /etc/apparmor.d/coracle"
    )
}

/// Whether a seccomp filter is on this process already.
pub(super) fn seccomp_filtered() -> bool {
    status_field("Seccomp").as_deref() == Some("2")
}

/// Whether no program that we start can gain privileges.
pub(super) fn no_new_privs() -> bool {
    status_field("NoNewPrivs").as_deref() == Some("1")
}

fn status_field(name: &str) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned()))
}

/// Are we inside another container, and does it hide parts of /proc? Then a fresh /proc cannot be mounted.
fn nested() -> Probe {
    let inside = outer_container();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let masked = masked_proc(&mounts);
    match (inside, masked.first()) {
        (Some(what), Some(first)) => Probe::warn(
            "nested",
            format!("inside {what}, which hides parts of /proc ({first} …): the kernel refuses a fresh /proc"),
        )
        .fix("start the outer container with --security-opt unmask=ALL (podman) or systempaths=unconfined (docker)"),
        (Some(what), None) => Probe::pass("nested", format!("inside {what}; /proc is whole")),
        (None, _) => Probe::pass("nested", "not inside a container"),
    }
}

fn outer_container() -> Option<String> {
    if let Some(name) = crate::paths::env("container") {
        return Some(format!("a container ({})", name.to_string_lossy()));
    }
    let markers = [("/run/.containerenv", "a podman container"), ("/.dockerenv", "a Docker container")];
    let marker =
        markers.into_iter().find(|(file, _)| Path::new(file).exists()).map(|(_, what)| what.to_owned());
    marker
        .or_else(|| (!crate::sys::spawn::in_initial_user_namespace()).then(|| "a user namespace".to_owned()))
}

/// Mount points below /proc, as mountinfo has them, but for those that every machine may have.
fn masked_proc(mountinfo: &str) -> Vec<String> {
    let targets = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    targets
        .filter(|target| target.starts_with("/proc/") && *target != "/proc/sys/fs/binfmt_misc")
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_of_proc_are_seen_and_binfmt_misc_is_none() {
        let text = "22 1 0:5 / /proc rw - proc proc rw\n23 22 0:6 / /proc/sys/fs/binfmt_misc rw - autofs x rw\n\
                    24 22 0:7 /null /proc/kcore rw - devtmpfs x rw\n";
        assert_eq!(masked_proc(text), ["/proc/kcore"]);
    }

    #[test]
    fn the_apparmor_profile_names_the_place_of_the_binaries() {
        let fix = apparmor_fix(Path::new("/home/a/.local/bin/coracle"));
        assert!(
            fix.contains("profile coracle /home/a/.local/bin/{coracle,coracle-oci} flags=(unconfined)"),
            "{fix}"
        );
        assert!(fix.ends_with("apparmor_parser -r /etc/apparmor.d/coracle"), "{fix}");
    }
}
