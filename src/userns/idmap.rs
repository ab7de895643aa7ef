//! Id maps and their arithmetic, pure: ranges of subordinate ids → the store's map → the container's nested map.
//!
//! A map is a list of ranges `inside outside count` as in /proc/PID/uid_map (user_namespaces(7)): at most 340 lines, no
//! overlap on either side, no wrap past 2^32-1 (R23).

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// One line of a uid_map or gid_map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// The user and group maps of one user namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMaps {
    pub uids: Vec<IdRange>,
    pub gids: Vec<IdRange>,
}

/// Root inside is `id` outside; the subordinate ranges follow from 1 on.
pub fn root_then_subordinate(id: u32, subordinate: &[(u32, u32)]) -> Vec<IdRange> {
    let mut map = vec![IdRange { inside: 0, outside: id, count: 1 }];
    let mut inside = 1u32;
    for &(outside, count) in subordinate {
        let count = count.min(u32::MAX - inside);
        if count > 0 {
            map.push(IdRange { inside, outside, count });
            inside += count;
        }
    }
    map
}

/// How many ids `map` has from 0 on without a gap.
pub fn size(map: &[IdRange]) -> u32 {
    let mut ranges: Vec<&IdRange> = map.iter().collect();
    ranges.sort_by_key(|r| r.inside);
    ranges.iter().fold(0, |next, r| if r.inside == next { next.saturating_add(r.count) } else { next })
}

/// The nested identity map of a container below a store map of `size` ids.
pub fn identity(size: u32) -> Vec<IdRange> {
    vec![IdRange { inside: 0, outside: 0, count: size }]
}

/// keep-id: the store's root (the user) appears as `id` inside; the others move up to make room.
///
/// Inside `id` ↔ outside 0; inside 0..id ↔ outside 1..=id; the rest is identity. `size` must be greater than `id`.
pub fn keep_id(id: u32, size: u32) -> Result<Vec<IdRange>> {
    if id >= size {
        return Err(Error::host(format_args!("cannot keep id {id}"))
            .cause(format_args!("only {size} ids are mapped"))
            .hint("Ask for a larger subordinate range, or choose a smaller number: `--userns keep-id:uid=1000,gid=1000`."));
    }
    let mut map = Vec::with_capacity(3);
    if id > 0 {
        map.push(IdRange { inside: 0, outside: 1, count: id });
    }
    map.push(IdRange { inside: id, outside: 0, count: 1 });
    if size > id + 1 {
        map.push(IdRange { inside: id + 1, outside: id + 1, count: size - id - 1 });
    }
    Ok(map)
}

/// nomap: the user's own id (outside 0) is not mapped at all.
pub fn without_own_id(size: u32) -> Vec<IdRange> {
    vec![IdRange { inside: 0, outside: 1, count: size.saturating_sub(1) }]
}

/// Cuts the lines of a nested map where the outer map's lines end: the kernel refuses a line whose outside ids lie in two
/// lines of the outer map (map_id_range_down in kernel/user_namespace.c). Ids that the outer map has not fall away.
pub fn split_along(map: &[IdRange], outer: &[IdRange]) -> Vec<IdRange> {
    let mut pieces = Vec::new();
    for range in map {
        for line in outer {
            let first = range.outside.max(line.inside);
            let end = (u64::from(range.outside) + u64::from(range.count))
                .min(u64::from(line.inside) + u64::from(line.count));
            if let Some(count) =
                end.checked_sub(u64::from(first)).and_then(|c| u32::try_from(c).ok()).filter(|c| *c > 0)
            {
                pieces.push(IdRange {
                    inside: range.inside + (first - range.outside),
                    outside: first,
                    count,
                });
            }
        }
    }
    pieces.sort_by_key(|r| r.inside);
    pieces
}

/// The outside id of `inside`.
pub fn to_outside(map: &[IdRange], inside: u32) -> Option<u32> {
    let range = map.iter().find(|r| inside >= r.inside && inside - r.inside < r.count)?;
    Some(range.outside + (inside - range.inside))
}

/// The text of a uid_map file.
pub fn to_text(map: &[IdRange]) -> String {
    map.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count)).collect()
}

/// Parses the text of a uid_map file; lines that are not three numbers are refused.
pub fn parse_text(text: &str) -> Option<Vec<IdRange>> {
    let line = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inside, outside, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        numbers.next().is_none().then_some(IdRange { inside, outside, count })
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stores_map_puts_the_user_at_root() {
        let map = root_then_subordinate(1000, &[(100_000, 65_536), (300_000, 10)]);
        assert_eq!(to_text(&map), "0 1000 1\n1 100000 65536\n65537 300000 10\n");
        assert_eq!(size(&map), 65_547);
        assert_eq!(parse_text(&to_text(&map)), Some(map));
    }

    #[test]
    fn nested_lines_end_where_the_outer_lines_end() {
        let outer = root_then_subordinate(1000, &[(100_000, 65_536), (300_000, 10)]);
        let cut = split_along(&identity(size(&outer)), &outer);
        assert_eq!(to_text(&cut), "0 0 1\n1 1 65536\n65537 65537 10\n");
        let cut = split_along(&keep_id(1000, 65_537).unwrap(), &outer);
        assert_eq!(to_text(&cut), "0 1 1000\n1000 0 1\n1001 1001 64536\n");
    }

    #[test]
    fn keep_id_is_a_permutation() {
        let map = keep_id(1000, 65_537).unwrap();
        let mut seen: Vec<u32> = (0..65_537).map(|i| to_outside(&map, i).unwrap()).collect();
        assert_eq!(seen[1000], 0);
        seen.sort_unstable();
        assert!(seen.iter().copied().eq(0..65_537));
        assert_eq!(
            keep_id(0, 10).unwrap(),
            vec![IdRange { inside: 0, outside: 0, count: 1 }, IdRange { inside: 1, outside: 1, count: 9 }]
        );
        assert!(keep_id(10, 10).is_err());
    }
}
