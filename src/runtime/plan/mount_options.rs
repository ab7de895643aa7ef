//! fstab words to mount attributes. Pure.
//!
//! One table serves parsing and `features`. A word with an `r` in front changes the whole tree below the mount. Words
//! that are not in the tables are the file system's own (`size=64k`) and go to fsconfig as they are.

use crate::error::{Error, Result};
use crate::sys::mount::{
    ATTR_ATIME, ATTR_NOATIME, ATTR_NODEV, ATTR_NODIRATIME, ATTR_NOEXEC, ATTR_NOSUID, ATTR_NOSYMFOLLOW,
    ATTR_RDONLY, ATTR_STRICTATIME, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, MountAttr,
};

/// What the options of one mount ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// For the mount itself.
    pub attr: MountAttr,
    /// For the mount and all below it.
    pub recursive_attr: MountAttr,
    /// MS_SHARED…, and whether for the whole tree; in the order given.
    pub propagation: Vec<(u64, bool)>,
    pub bind: Option<Bind>,
    pub remount: bool,
    /// Fill the new tmpfs with what the directory held.
    pub copy_up: bool,
    /// `idmap`: the tree's own ids are mapped (`ridmap` for the whole tree).
    pub idmap: Option<Bind>,
    /// Options of the file system, in order.
    pub data: Vec<(String, Option<String>)>,
}

/// How much of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bind {
    One,
    Recursive,
}

/// Word, attributes to set, attributes to clear.
const ATTRIBUTES: [(&str, u64, u64); 18] = [
    ("ro", ATTR_RDONLY, 0),
    ("rw", 0, ATTR_RDONLY),
    ("nosuid", ATTR_NOSUID, 0),
    ("suid", 0, ATTR_NOSUID),
    ("nodev", ATTR_NODEV, 0),
    ("dev", 0, ATTR_NODEV),
    ("noexec", ATTR_NOEXEC, 0),
    ("exec", 0, ATTR_NOEXEC),
    // The three atime modes are one field: changing it needs the whole field cleared.
    ("noatime", ATTR_NOATIME, ATTR_ATIME),
    ("atime", 0, ATTR_ATIME),
    ("relatime", 0, ATTR_ATIME),
    ("norelatime", 0, ATTR_ATIME),
    ("strictatime", ATTR_STRICTATIME, ATTR_ATIME),
    ("nostrictatime", 0, ATTR_ATIME),
    ("nodiratime", ATTR_NODIRATIME, 0),
    ("diratime", 0, ATTR_NODIRATIME),
    ("nosymfollow", ATTR_NOSYMFOLLOW, 0),
    ("symfollow", 0, ATTR_NOSYMFOLLOW),
];

const PROPAGATION: [(&str, u64, bool); 8] = [
    ("private", MS_PRIVATE, false),
    ("rprivate", MS_PRIVATE, true),
    ("shared", MS_SHARED, false),
    ("rshared", MS_SHARED, true),
    ("slave", MS_SLAVE, false),
    ("rslave", MS_SLAVE, true),
    ("unbindable", MS_UNBINDABLE, false),
    ("runbindable", MS_UNBINDABLE, true),
];

/// Words without effect: the kernel's defaults, or what fsopen has no form for.
const IGNORED: [&str; 10] =
    ["defaults", "acl", "noacl", "loud", "silent", "nolazytime", "iversion", "noiversion", "async", "nomand"];

/// Flags of a superblock, taken by fsconfig.
const SUPERBLOCK: [&str; 4] = ["sync", "dirsync", "lazytime", "mand"];

/// Words that are handled one by one below.
const SPECIAL: [&str; 7] = ["bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap", "copy-symlink"];

/// Parses the options of one mount.
pub fn parse(options: &[String]) -> Result<MountOptions> {
    let mut parsed = MountOptions::default();
    for option in options {
        match option.as_str() {
            "bind" => parsed.bind = parsed.bind.or(Some(Bind::One)),
            "rbind" => parsed.bind = Some(Bind::Recursive),
            "remount" => parsed.remount = true,
            "tmpcopyup" => parsed.copy_up = true,
            "idmap" => parsed.idmap = Some(Bind::One),
            "ridmap" => parsed.idmap = Some(Bind::Recursive),
            "copy-symlink" => {
                return Err(Error::usage("the mount option copy-symlink is not supported"));
            }
            word => parse_word(word, &mut parsed),
        }
    }
    Ok(parsed)
}

fn parse_word(word: &str, parsed: &mut MountOptions) {
    if let Some((_, propagation, recursive)) = PROPAGATION.iter().find(|(name, ..)| *name == word) {
        parsed.propagation.push((*propagation, *recursive));
    } else if let Some(attribute) = ATTRIBUTES.iter().find(|(name, ..)| *name == word) {
        change(&mut parsed.attr, attribute);
    } else if let Some(attribute) = ATTRIBUTES.iter().find(|(name, ..)| word.strip_prefix('r') == Some(*name))
    {
        change(&mut parsed.recursive_attr, attribute);
    } else if !IGNORED.contains(&word) {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (word, None),
        };
        parsed.data.push((key.to_owned(), value));
    }
}

/// The last word wins: what is set is no longer cleared, and the other way round.
fn change(attr: &mut MountAttr, (_, set, clear): &(&str, u64, u64)) {
    attr.set = (attr.set & !clear) | set;
    let whole_fields = clear & ATTR_ATIME;
    attr.clear = (attr.clear & !set) | (clear & !ATTR_ATIME) | whole_fields;
}

/// Every option that is understood, for `features`, sorted.
pub fn known() -> Vec<String> {
    let plain = ATTRIBUTES.iter().map(|(name, ..)| (*name).to_owned());
    let recursive = ATTRIBUTES.iter().map(|(name, ..)| format!("r{name}"));
    let propagation = PROPAGATION.iter().map(|(name, ..)| (*name).to_owned());
    let words = IGNORED.iter().chain(&SUPERBLOCK).chain(SPECIAL.iter().filter(|w| **w != "copy-symlink"));
    let mut all: Vec<String> =
        plain.chain(recursive).chain(propagation).chain(words.map(|w| (*w).to_owned())).collect();
    all.sort();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> MountOptions {
        parse(&words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn attributes_and_data_are_told_apart() {
        let o = parsed(&["nosuid", "strictatime", "mode=755", "size=65536k", "newinstance"]);
        assert_eq!(o.attr.set, ATTR_NOSUID | ATTR_STRICTATIME);
        assert_eq!(o.attr.clear, ATTR_ATIME);
        let data: Vec<_> = o.data.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        assert_eq!(data, [("mode", Some("755")), ("size", Some("65536k")), ("newinstance", None)]);
    }

    #[test]
    fn the_last_word_wins() {
        assert_eq!(parsed(&["ro", "rw"]).attr, MountAttr { clear: ATTR_RDONLY, ..MountAttr::default() });
        assert_eq!(parsed(&["rw", "ro"]).attr, MountAttr { set: ATTR_RDONLY, ..MountAttr::default() });
    }

    #[test]
    fn recursive_words_are_kept_apart() {
        let o = parsed(&["rbind", "rro", "rslave", "relatime"]);
        assert_eq!(o.bind, Some(Bind::Recursive));
        assert_eq!(o.recursive_attr.set, ATTR_RDONLY);
        assert_eq!(o.propagation, [(MS_SLAVE, true)]);
        assert_eq!(o.attr, MountAttr { clear: ATTR_ATIME, ..MountAttr::default() });
        assert!(known().contains(&"rro".to_owned()));
    }
}
