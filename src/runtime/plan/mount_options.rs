//! fstab words to mount attributes. Pure.
//!
//! One table serves parsing and `features`. A word with an `r` in front changes the whole tree below the mount. Words
//! that are not in the tables are the file system's own (`size=64k`) and go to fsconfig as they are.

use crate::error::{Error, Result};
use crate::sys::mount::{
    ATTR_ATIME, ATTR_NOATIME, ATTR_NODEV, ATTR_NODIRATIME, ATTR_NOEXEC, ATTR_NOSUID, ATTR_NOSYMFOLLOW,
    ATTR_RDONLY, ATTR_STRICTATIME, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE, MountAttr,
};

use oci_spec::runtime::{LinuxIdMapping, LinuxIdMappingBuilder};

/// What the options of one mount ask for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MountOptions {
    /// For the mount itself.
    pub attr: MountAttr,
    /// Whether any word is about the mount's own: then a bind has these attributes and no others.
    pub named: bool,
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
    /// `idmap=uids=…;gids=…`, as podman writes them for crun.
    pub idmap_maps: Option<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)>,
    /// A source that is a symlink is made again as one.
    pub copy_symlink: bool,
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

/// Words that take back one atime mode and choose none. For one mount they only undo an earlier word: mount(2) has no flag
/// for them, and leaves what is there.
const NO_TIMES: [(&str, u64); 3] =
    [("atime", ATTR_NOATIME), ("norelatime", 0), ("nostrictatime", ATTR_STRICTATIME)];

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

/// Words without effect: the kernel's defaults, what fsopen has no form for, and podman 5's empty word for a tmpfs.
const IGNORED: [&str; 11] = [
    "",
    "defaults",
    "acl",
    "noacl",
    "loud",
    "silent",
    "nolazytime",
    "iversion",
    "noiversion",
    "async",
    "nomand",
];

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
            "copy-symlink" => parsed.copy_symlink = true,
            word => match word
                .strip_prefix("idmap=")
                .map(|maps| (maps, Bind::One))
                .or_else(|| word.strip_prefix("ridmap=").map(|maps| (maps, Bind::Recursive)))
            {
                Some((maps, how)) => {
                    parsed.idmap = Some(how);
                    parsed.idmap_maps = Some(parse_maps(maps)?);
                }
                None => parse_word(word, &mut parsed),
            },
        }
    }
    Ok(parsed)
}

fn parse_word(word: &str, parsed: &mut MountOptions) {
    if let Some((_, propagation, recursive)) = PROPAGATION.iter().find(|(name, ..)| *name == word) {
        parsed.propagation.push((*propagation, *recursive));
    } else if let Some(attribute) = ATTRIBUTES.iter().find(|(name, ..)| *name == word) {
        parsed.named = true;
        match NO_TIMES.iter().find(|(name, _)| *name == word) {
            Some((_, attr)) => parsed.attr.set &= !attr,
            None => change(&mut parsed.attr, attribute),
        }
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

/// `uids=0-1000-1#1-100000-10;gids=…`: ids in the container, on the file system, and how many.
fn parse_maps(text: &str) -> Result<(Vec<LinuxIdMapping>, Vec<LinuxIdMapping>)> {
    let bad = || {
        Error::usage(format_args!("invalid mount option \"idmap={text}\""))
            .cause("it must be uids=INSIDE-OUTSIDE-COUNT[#…];gids=…")
    };
    let one = |part: &str| {
        let mut ids = part.split('-').map(|n| n.parse::<u32>().ok());
        let (Some(Some(inside)), Some(Some(outside)), Some(Some(size)), None) =
            (ids.next(), ids.next(), ids.next(), ids.next())
        else {
            return Err(bad());
        };
        let map = LinuxIdMappingBuilder::default().container_id(inside).host_id(outside).size(size);
        map.build().map_err(|_| bad())
    };
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    for list in text.split(';') {
        let (kind, maps) = list.split_once('=').ok_or_else(bad)?;
        let maps = maps.split('#').map(one).collect::<Result<Vec<_>>>()?;
        match kind {
            "uids" => uids = maps,
            "gids" => gids = maps,
            _ => return Err(bad()),
        }
    }
    Ok((uids, gids))
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
    let words = IGNORED.iter().chain(&SUPERBLOCK).chain(&SPECIAL);
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
    fn maps_in_a_word_are_podmans() {
        let o = parsed(&["bind", "idmap=uids=0-1000-1#1-2-3;gids=0-5-1"]);
        let (uids, gids) = o.idmap_maps.unwrap();
        let ids = |m: &LinuxIdMapping| (m.container_id(), m.host_id(), m.size());
        assert_eq!(uids.iter().map(ids).collect::<Vec<_>>(), [(0, 1000, 1), (1, 2, 3)]);
        assert_eq!((gids.iter().map(ids).collect::<Vec<_>>(), o.idmap), (vec![(0, 5, 1)], Some(Bind::One)));
        for bad in ["idmap=", "idmap=uids", "idmap=uids=1-2", "idmap=uids=@1-2-3", "idmap=x=1-2-3"] {
            assert!(parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
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

    #[test]
    fn a_word_that_chooses_no_atime_mode_changes_none() {
        for words in
            [&["atime"][..], &["noatime", "atime"], &["strictatime", "nostrictatime"], &["norelatime"]]
        {
            let o = parsed(words);
            assert!(o.named && o.attr.set == 0, "{words:?}: {o:?}");
        }
        assert_eq!(parsed(&["norelatime"]).attr, MountAttr::default());
    }
}
