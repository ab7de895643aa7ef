//! User namespaces and subordinate ids: the ground of everything. Returns the process in which later probes try things.

use super::child::Child;
use super::{Probe, Report, install_command, sysctl};
use crate::error::Error;
use crate::external::Tool;
use crate::userns::subid::{self, Which};
use crate::userns::{self, IdMaps, NEWGIDMAP, NEWUIDMAP, StoreMap, idmap};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// What most images need, and what `usermod` gives.
const USUAL_COUNT: u32 = 65_536;

pub(super) fn probe(report: &mut Report) -> Option<Child> {
    let uid = rustix::process::geteuid().as_raw();
    let gid = rustix::process::getegid().as_raw();
    let map = match userns::store_map() {
        Ok(map) => map,
        Err(e) => {
            let fix = "usermod --add-subuids 200000-265535 --add-subgids 200000-265535 root";
            report.probes.push(Probe::fail("subuid", e.to_string()).fix_as_root(fix));
            return None;
        }
    };
    let alone = StoreMap::SingleUid {
        maps: IdMaps {
            uids: idmap::root_then_subordinate(uid, &[]),
            gids: idmap::root_then_subordinate(gid, &[]),
        },
        reason: String::new(),
    };
    // The plain namespace first: it tells a forbidden namespace from a failing newuidmap.
    let first = Child::start(if matches!(map, StoreMap::Direct(_)) { &map } else { &alone });
    let plain = match first {
        Ok(child) => {
            report.probes.push(Probe::pass("userns", "a user namespace can be made and used"));
            child
        }
        Err(e) => {
            report.probes.push(forbidden(&e));
            return None;
        }
    };
    report.abilities.containers = true;
    report.abilities.ids = 1;
    if matches!(map, StoreMap::Direct(_)) {
        report.abilities.ids = idmap::size(&map.maps().uids);
        report.probes.push(Probe::pass("newuidmap", "not needed: root writes the id maps itself"));
        report.probes.push(Probe::pass("subuid", described(&map)));
        return Some(plain);
    }
    let name = subid::user_name(uid).unwrap_or_else(|| uid.to_string());
    let ranges = subordinate(uid, &name);
    let multi = with_mappers(&map, &ranges, report);
    report.probes.push(ranges_probe(&name, uid, &ranges));
    Some(multi.unwrap_or(plain))
}

/// newuidmap and newgidmap: there, privileged, and really writing this user's map.
fn with_mappers(map: &StoreMap, ranges: &Ranges, report: &mut Report) -> Option<Child> {
    let mut missing = [NEWUIDMAP, NEWGIDMAP].into_iter().filter(|tool| tool.locate().is_none());
    if let Some(tool) = missing.next() {
        report.probes.push(
            Probe::fail("newuidmap", format!("{} is not installed", tool.name))
                .fix_as_root(install_command(tool.packages))
                .meanwhile("single-uid mode: every file in a container belongs to you"),
        );
        return None;
    }
    if ranges.uids.is_empty() || ranges.gids.is_empty() {
        report.probes.push(Probe::pass("newuidmap", "installed; not tried without subordinate ids"));
        return None;
    }
    match Child::start(map) {
        Ok(child) => {
            report.abilities.ids = idmap::size(&map.maps().uids);
            report.probes.push(Probe::pass("newuidmap", format!("wrote the map: {}", described(map))));
            Some(child)
        }
        Err(e) => {
            report.probes.push(powerless(&e));
            None
        }
    }
}

/// The causes of a namespace that cannot be made, told apart by the settings of the kernel and its security modules.
fn forbidden(error: &Error) -> Probe {
    let words = error.causes().last().cloned().unwrap_or_else(|| error.to_string());
    let fail = |why: String| Probe::fail("userns", format!("{why} ({words})"));
    if sysctl("user.max_user_namespaces") == Some(0) {
        return fail("user.max_user_namespaces is 0".to_owned()).fix_as_root(
            "echo user.max_user_namespaces=15000 | tee /etc/sysctl.d/90-userns.conf && sysctl --system",
        );
    }
    if sysctl("kernel.unprivileged_userns_clone") == Some(0) {
        return fail("kernel.unprivileged_userns_clone is 0".to_owned()).fix_as_root(
            "echo kernel.unprivileged_userns_clone=1 | tee /etc/sysctl.d/90-userns.conf && sysctl --system",
        );
    }
    if sysctl("kernel.apparmor_restrict_unprivileged_userns") == Some(1) {
        let program = std::env::current_exe().unwrap_or_else(|_| "coracle".into());
        return fail(format!(
            "kernel.apparmor_restrict_unprivileged_userns is 1, and no AppArmor profile allows {}",
            program.display()
        ))
        .fix_as_root(super::lsm::apparmor_fix(&program));
    }
    if words.contains("ENOSPC") || words.contains("EUSERS") {
        let limit = sysctl("user.max_user_namespaces").unwrap_or(0);
        return fail(format!(
            "all {limit} user namespaces are in use (user.max_user_namespaces), or 32 are nested"
        ))
        .fix_as_root(format!("sysctl user.max_user_namespaces={}", limit.saturating_mul(2).max(15_000)));
    }
    if !crate::sys::spawn::in_initial_user_namespace() {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let map = map.split_whitespace().collect::<Vec<_>>().join(" ");
        return fail(format!("the user namespace around us (uid_map {map:?}) does not allow one inside"))
            .fix("give the outer container more ids, for example --userns=auto:size=131072");
    }
    if super::lsm::seccomp_filtered() {
        return fail("a seccomp filter is on this process: an outer container or service forbids it".to_owned())
            .fix("start the outer container with --security-opt seccomp=unconfined, or the service without SystemCallFilter=");
    }
    fail("this is a chroot, or a security module forbids it".to_owned())
        .fix_as_root("journalctl -k -g 'denied|userns'")
}

/// Why newuidmap, which is installed, could not write: the four causes, by what can be seen of each.
fn powerless(error: &Error) -> Probe {
    let words = error.causes().last().cloned().unwrap_or_else(|| error.to_string());
    let path = NEWUIDMAP.locate().unwrap_or_default();
    let probe = if super::lsm::no_new_privs() {
        Probe::fail(
            "newuidmap",
            format!("NoNewPrivs is set on this process, so newuidmap gets no privilege ({words})"),
        )
        .fix("start from a login without it: a unit's NoNewPrivileges= or `setpriv --no-new-privs` sets it")
    } else if is_nosuid(&path) {
        let mount = path.parent().unwrap_or(Path::new("/")).display();
        Probe::fail("newuidmap", format!("{} is on a file system mounted nosuid ({words})", path.display()))
            .fix_as_root(format!("mount -o remount,suid \"$(findmnt -no TARGET -T {mount})\""))
    } else if !is_privileged(&path) {
        Probe::fail(
            "newuidmap",
            format!("{} has no setuid bit and no file capability ({words})", path.display()),
        )
        .fix_as_root(repair_mappers(&path))
    } else if !crate::sys::spawn::in_initial_user_namespace() {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let map = map.split_whitespace().collect::<Vec<_>>().join(" ");
        Probe::fail("newuidmap", format!("the user namespace around us maps only \"{map}\" ({words})"))
            .fix("give the outer container more ids, for example --userns=auto:size=131072")
    } else {
        Probe::fail("newuidmap", words).fix_as_root(install_again(NEWUIDMAP))
    };
    probe.meanwhile("single-uid mode: every file in a container belongs to you")
}

fn repair_mappers(newuidmap: &Path) -> String {
    let dir = newuidmap.parent().unwrap_or(Path::new("/usr/bin")).display();
    format!("chown root:root {dir}/new[ug]idmap && chmod 4755 {dir}/new[ug]idmap")
}

fn install_again(tool: Tool) -> String {
    install_command(tool.packages)
        .replace("apt install", "apt install --reinstall")
        .replace("dnf install", "dnf reinstall")
}

fn is_privileged(path: &Path) -> bool {
    let setuid = path.metadata().is_ok_and(|m| m.permissions().mode() & 0o4000 != 0 && m.uid() == 0);
    let mut value = [0u8; 64];
    setuid || rustix::fs::getxattr(path, "security.capability", &mut value).is_ok()
}

fn is_nosuid(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|fs| fs.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID))
}

fn described(map: &StoreMap) -> String {
    let ids = |ranges| idmap::size(ranges);
    format!("{} uids, {} gids", ids(&map.maps().uids), ids(&map.maps().gids))
}

/// The user's subordinate ranges, `(first, count)`.
struct Ranges {
    uids: Vec<(u32, u32)>,
    gids: Vec<(u32, u32)>,
}

fn subordinate(uid: u32, name: &str) -> Ranges {
    Ranges {
        uids: subid::ranges(Which::Uid, uid, Some(name)),
        gids: subid::ranges(Which::Gid, uid, Some(name)),
    }
}

fn ranges_probe(name: &str, uid: u32, ranges: &Ranges) -> Probe {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let files = [("/etc/subuid", &ranges.uids), ("/etc/subgid", &ranges.gids)];
    let all: String = files.iter().map(|(path, _)| read(path)).collect();
    let fix = || add_ranges(name, free_range(&all));
    let count = |ranges: &[(u32, u32)]| ranges.iter().map(|(_, count)| count).sum::<u32>();
    for (path, found) in files {
        if found.is_empty() {
            let fact = format!("{name} (uid {uid}) has no line in {path}, and getsubids knows none");
            let meanwhile = "single-uid mode: every file in a container belongs to you";
            return Probe::fail("subuid", fact).fix_as_root(fix()).meanwhile(meanwhile);
        }
        if let Some(other) = overlap(&read(path), uid, name, found) {
            let fact = format!(
                "{path}: the range of {name} is also given to {other}: each can change the other's files"
            );
            return Probe::warn("subuid", fact)
                .fix_as_root(format!("edit {path} and give {name} a range of its own"));
        }
        if count(found) < USUAL_COUNT {
            let fact = format!(
                "{path} gives {name} {} ids; images with higher ids cannot be unpacked",
                count(found)
            );
            return Probe::warn("subuid", fact).fix_as_root(fix());
        }
    }
    if let Some((who, id)) = real_user_within(&read("/etc/passwd"), &ranges.uids) {
        let fact = format!(
            "the range of {name} covers the real user {who} (uid {id}): containers could own their files"
        );
        return Probe::warn("subuid", fact)
            .fix_as_root(format!("edit /etc/subuid and give {name} a range of its own"));
    }
    Probe::pass("subuid", format!("{} uids and {} gids for {name}", count(&ranges.uids), count(&ranges.gids)))
}

fn add_ranges(name: &str, first: u32) -> String {
    let last = first.saturating_add(USUAL_COUNT - 1);
    format!("usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {name}")
}

/// The first range after all that stand in the files, as `useradd` would choose.
fn free_range(text: &str) -> u32 {
    const FIRST: u32 = 524_288; // above the ids that directories and `useradd` give to people on most machines
    entries(text)
        .map(|(_, first, count)| first.saturating_add(count))
        .filter(|end| *end < 0x7000_0000)
        .fold(FIRST, u32::max)
}

fn entries(text: &str) -> impl Iterator<Item = (&str, u32, u32)> {
    text.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        Some((fields.next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

/// Another owner whose range meets one of `mine`.
fn overlap(text: &str, uid: u32, name: &str, mine: &[(u32, u32)]) -> Option<String> {
    let uid = uid.to_string();
    let meets = |first: u32, count: u32| {
        mine.iter().any(|&(f, c)| first < f.saturating_add(c) && f < first.saturating_add(count))
    };
    entries(text)
        .find(|&(owner, first, count)| owner != name && owner != uid && meets(first, count))
        .map(|e| e.0.to_owned())
}

fn real_user_within(passwd: &str, ranges: &[(u32, u32)]) -> Option<(String, u32)> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?);
        ranges.iter().any(|&(first, count)| id >= first && id - first < count).then(|| (name.to_owned(), id))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_range_stands_after_all_others() {
        assert_eq!(free_range(""), 524_288);
        assert_eq!(free_range("a:100000:65536\nb:589824:65536\nbroken\n"), 655_360);
        assert_eq!(
            add_ranges("ada", 524_288),
            "usermod --add-subuids 524288-589823 --add-subgids 524288-589823 ada"
        );
    }

    #[test]
    fn a_shared_range_names_the_other_owner() {
        let text = "ada:100000:65536\n1000:300000:10\nbob:165535:5\n";
        assert_eq!(overlap(text, 1000, "ada", &[(100_000, 65_536)]).as_deref(), Some("bob"));
        assert_eq!(overlap(text, 1000, "ada", &[(300_000, 10)]), None);
    }

    #[test]
    fn a_real_user_inside_the_range_is_seen() {
        let passwd = "root:x:0:0::/:/bin/sh\neve:x:100005:1::/:/bin/sh\n";
        assert_eq!(real_user_within(passwd, &[(100_000, 10)]), Some(("eve".to_owned(), 100_005)));
        assert_eq!(real_user_within(passwd, &[(200_000, 10)]), None);
    }
}
