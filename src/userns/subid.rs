//! Subordinate ids of a user: /etc/subuid and /etc/subgid, then `getsubids` for ranges that only NSS knows (sss, ldap).
//!
//! A musl binary has no NSS: the user's own name comes from /etc/passwd, then from `getent`. Lines that make no sense, wrap
//! past 2^32 or overlap an earlier range are left out, never passed on to newuidmap (R23).

use crate::external::Tool;
use std::ffi::OsString;

/// Prints the ranges that NSS gives a user.
pub const GETSUBIDS: Tool = Tool {
    name: "getsubids",
    needed_to: "ask NSS for subordinate ids",
    packages: ["uidmap", "shadow-utils-subid", "shadow"],
    search_path: false,
};

/// Prints NSS entries.
pub const GETENT: Tool = Tool {
    name: "getent",
    needed_to: "ask NSS for a user's name",
    packages: ["libc-bin", "glibc-common", "glibc"],
    search_path: false,
};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    Uid,
    Gid,
}

/// The ranges `(first, count)` of the user with this uid and name, in the order of the file.
pub fn ranges(which: Which, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    let path = match which {
        Which::Uid => "/etc/subuid",
        Which::Gid => "/etc/subgid",
    };
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let found = parse(&text, uid, name);
    if !found.is_empty() {
        return found;
    }
    from_getsubids(which, name)
}

/// The lines of `text` that belong to the user, by name or by number.
pub fn parse(text: &str, uid: u32, name: Option<&str>) -> Vec<(u32, u32)> {
    let uid = uid.to_string();
    let mine = |owner: &str| owner == uid || Some(owner) == name;
    let line = |line: &str| {
        let mut fields = line.trim().split(':');
        let (owner, first, count) = (fields.next()?, fields.next()?, fields.next()?);
        let (first, count) = (first.parse::<u32>().ok()?, count.parse::<u32>().ok()?);
        (mine(owner) && count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    without_overlap(text.lines().filter_map(line))
}

fn without_overlap(ranges: impl Iterator<Item = (u32, u32)>) -> Vec<(u32, u32)> {
    let mut kept: Vec<(u32, u32)> = Vec::new();
    for (first, count) in ranges {
        if kept.iter().all(|&(f, c)| first + count <= f || f + c <= first) {
            kept.push((first, count));
        }
    }
    kept
}

/// `getsubids [-g] NAME` prints `0: NAME FIRST COUNT` a line.
fn from_getsubids(which: Which, name: Option<&str>) -> Vec<(u32, u32)> {
    let (Some(name), Some(_)) = (name, GETSUBIDS.locate()) else { return Vec::new() };
    let flag = (which == Which::Gid).then(|| OsString::from("-g"));
    let Ok(output) = GETSUBIDS.run(flag.into_iter().chain([OsString::from(name)])) else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace().rev();
        let (count, first) = (fields.next()?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
        (count > 0 && first.checked_add(count).is_some()).then_some((first, count))
    };
    without_overlap(text.lines().filter_map(line))
}

/// The name of `uid`: /etc/passwd, then NSS.
pub fn user_name(uid: u32) -> Option<String> {
    let text = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    if let Some(name) = name_in_passwd(&text, uid) {
        return Some(name);
    }
    GETENT.locate()?;
    let output = GETENT.run(["passwd".into(), uid.to_string().into()]).ok()?;
    name_in_passwd(&String::from_utf8_lossy(&output.stdout), uid)
}

fn name_in_passwd(text: &str, uid: u32) -> Option<String> {
    text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_wrap_overlap_or_belong_to_others_are_left_out() {
        let text = "ada:100000:65536\n1000:200000:10\nbob:1:2\nada:4294967295:2\nada:120000:5\nada:x:1\nada:300000:0\n";
        assert_eq!(parse(text, 1000, Some("ada")), [(100_000, 65_536), (200_000, 10)]);
        assert_eq!(parse(text, 7, None), []);
    }

    #[test]
    fn names_come_from_passwd_lines() {
        let text = "root:x:0:0::/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\nbroken\n";
        assert_eq!(name_in_passwd(text, 1000).as_deref(), Some("ada"));
        assert_eq!(name_in_passwd(text, 5), None);
    }
}
