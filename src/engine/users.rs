//! `--user` and image USER: numbers and names, resolved in the image's own passwd and group. Never by the host's NSS (R9).
//!
//! A text of digits only is a number and never a name; signs, overflow and trailing bytes are errors, never uid 0 (R12:
//! CVE-2026-30892, CVE-2024-40635). Files are read to a limit of size, line length and number of entries (CVE-2024-9676).

use super::view::View;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Largest passwd or group file that is looked at, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Longest line; longer ones are passed over.
const MAX_LINE: usize = 4096;
/// Entries looked at.
const MAX_ENTRIES: usize = 65_536;

/// Who the payload runs as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups from the image's group file and `--group-add`.
    pub groups: Vec<u32>,
    pub home: String,
    /// From passwd, where there is an entry.
    pub name: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Passwd {
    name: String,
    uid: u32,
    gid: u32,
    home: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    gid: u32,
    members: Vec<String>,
}

/// Resolves `user[:group]` (empty = root) in the files of `view`.
pub fn resolve(view: &View, spec: &str, extra_groups: &[String]) -> Result<User> {
    let passwd = view.read("/etc/passwd", MAX_FILE);
    let group = view.read("/etc/group", MAX_FILE);
    resolve_in(&parse_passwd(&passwd), &parse_group(&group), spec, extra_groups)
}

/// Whether a group of this number, or of this name, is in the image's file.
pub fn has_group(view: &View, gid: u32, name: &str) -> bool {
    let file = view.read("/etc/group", MAX_FILE);
    parse_group(&file).iter().any(|group| group.gid == gid || group.name == name)
}

fn resolve_in(passwd: &[Passwd], groups: &[Group], spec: &str, extra_groups: &[String]) -> Result<User> {
    let (user, group) = match spec.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (spec, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let entry: std::result::Result<Passwd, u32> =
        match parse_id(user).map_err(|e| e.wrap(format_args!("invalid user {spec:?}")))? {
            Id::Number(uid) => passwd.iter().find(|p| p.uid == uid).cloned().ok_or(uid),
            Id::Name => Ok(passwd.iter().find(|p| p.name == user).cloned().ok_or_else(|| {
                Error::usage(format_args!("unable to find user {user}: no matching entries in passwd file"))
                    .hint("Give the user by number, for example `--user 1000:1000`.")
            })?),
        };
    let (uid, primary, home, name) = match entry {
        Ok(p) => (p.uid, p.gid, p.home, Some(p.name)),
        Err(uid) => (uid, 0, "/".to_owned(), None),
    };
    let gid = match group.filter(|g| !g.is_empty()) {
        None => primary,
        Some(group) => find_group(groups, group)?,
    };
    // A group that was named stands alone; else the file's memberships count (CVE-2022-2989 and its siblings).
    let mut supplementary = Vec::new();
    if group.is_none() {
        let member = |g: &&Group| name.as_ref().is_some_and(|n| g.members.contains(n));
        supplementary.extend(groups.iter().filter(member).map(|g| g.gid));
    }
    for extra in extra_groups {
        supplementary.push(find_group(groups, extra)?);
    }
    // With a user of its own choice the primary group stands among them too: a setgid program that changes it must not
    // lose a group that is denied something (CVE-2022-2989).
    supplementary.retain(|g| *g != gid);
    if !spec.is_empty() {
        supplementary.push(gid);
    }
    supplementary.sort_unstable();
    supplementary.dedup();
    let home = if home.is_empty() { "/".to_owned() } else { home };
    Ok(User { uid, gid, groups: supplementary, home, name })
}

fn find_group(groups: &[Group], group: &str) -> Result<u32> {
    match parse_id(group).map_err(|e| e.wrap(format_args!("invalid group {group:?}")))? {
        Id::Number(gid) => Ok(gid),
        Id::Name => groups.iter().find(|g| g.name == group).map(|g| g.gid).ok_or_else(|| {
            Error::usage(format_args!("unable to find group {group}: no matching entries in group file"))
                .hint("Give the group by number.")
        }),
    }
}

enum Id {
    Number(u32),
    Name,
}

/// Digits are a number, which must fit; a name starts with a letter or underscore. Everything else is refused.
fn parse_id(text: &str) -> Result<Id> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return match text.parse::<u32>() {
            // 2^32-1 means "no change" to the kernel, 2^32-2 is the overflow id of some tools: neither is an id.
            Ok(id) if id < u32::MAX - 1 => Ok(Id::Number(id)),
            _ => Err(Error::usage(format_args!("{text} is not a number from 0 to 4294967293"))),
        };
    }
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'$' | b'@' | b'\\');
    if text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.bytes().all(good) {
        return Ok(Id::Name);
    }
    Err(Error::usage(format_args!("{text:?} is neither a number nor a name")))
}

fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|b| *b == b'\n')
        .filter(|line| !line.is_empty() && line.len() <= MAX_LINE)
        .take(MAX_ENTRIES)
        .filter_map(|line| std::str::from_utf8(line).ok())
}

fn parse_passwd(file: &[u8]) -> Vec<Passwd> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields.as_slice() else { return None };
        Some(Passwd {
            name: (*name).to_owned(),
            uid: uid.parse().ok()?,
            gid: gid.parse().ok()?,
            home: (*home).to_owned(),
        })
    };
    lines(file).filter_map(entry).collect()
}

fn parse_group(file: &[u8]) -> Vec<Group> {
    let entry = |line: &str| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, gid, members, ..] = fields.as_slice() else { return None };
        let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
        Some(Group { name: (*name).to_owned(), gid: gid.parse().ok()?, members })
    };
    lines(file).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] =
        b"root:x:0:0:root:/root:/bin/sh\nada:x:1000:1001::/home/ada:/bin/sh\n1234:x:0:0::/:/bin/sh\nbroken\n";
    const GROUP: &[u8] = b"root:x:0:\nada:x:1001:\nwheel:x:10:ada,bob\nvideo:x:44:ada\n";

    fn who(spec: &str) -> Result<User> {
        resolve_in(&parse_passwd(PASSWD), &parse_group(GROUP), spec, &[])
    }

    #[test]
    fn names_and_numbers_resolve_in_the_images_files() {
        let ada = who("ada").unwrap();
        assert_eq!(
            (ada.uid, ada.gid, ada.groups, ada.home.as_str()),
            (1000, 1001, vec![10, 44, 1001], "/home/ada")
        );
        let ada = who("ada:10").unwrap();
        assert_eq!((ada.uid, ada.gid, ada.groups), (1000, 10, vec![10]));
        let unknown = who("4000").unwrap();
        assert_eq!((unknown.uid, unknown.gid, unknown.home.as_str()), (4000, 0, "/"));
        assert_eq!((who("").unwrap().uid, who("").unwrap().groups), (0, vec![]));
        assert_eq!(who(":10").unwrap().gid, 10);
    }

    #[test]
    fn digits_are_never_a_name_and_nothing_odd_becomes_root() {
        assert_eq!(who("1234").unwrap().uid, 1234, "a passwd entry called 1234 is not asked");
        assert_eq!(who("01").unwrap().uid, 1);
        for bad in [
            "+1",
            "-1",
            "4294967295",
            "4294967296",
            "99999999999999999999",
            "1000x",
            "٣",
            "nobody-here",
            "1:-1",
            "a b",
        ] {
            assert!(who(bad).is_err(), "{bad}");
        }
    }
}
