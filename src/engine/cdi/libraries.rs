//! The host's shared libraries, as its dynamic linker knows them: /etc/ld.so.cache.
//!
//! The format is glibc's of 2.2 and later, with or without the older one before it: a header of 48 bytes, then entries of 24
//! bytes (flags, offset of the name, offset of the path, two more), offsets from the start of the header. Every offset is
//! checked; a damaged cache has no libraries.

const CACHE: &str = "/etc/ld.so.cache";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;

/// Name and path of each, as in the cache: the newest first.
pub fn all() -> Vec<(String, String)> {
    std::fs::read(CACHE).ok().and_then(|bytes| parse(&bytes)).unwrap_or_default()
}

fn parse(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let start = bytes.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    let table = bytes.get(start..)?;
    let number = |at: usize| -> Option<usize> {
        usize::try_from(u32::from_le_bytes(table.get(at..at + 4)?.try_into().ok()?)).ok()
    };
    let text = |at: usize| -> Option<String> {
        let rest = table.get(at..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        String::from_utf8(rest.get(..end)?.to_vec()).ok()
    };
    let count = number(MAGIC.len())?;
    let entries = table.get(HEADER..)?.len() / ENTRY;
    let found = (0..count.min(entries)).filter_map(|index| {
        let at = HEADER + index * ENTRY;
        Some((text(number(at + 4)?)?, text(number(at + 8)?)?))
    });
    Some(found.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_is_read_and_a_damaged_one_is_empty() {
        let mut cache = b"some old format".to_vec();
        let mut table = MAGIC.to_vec();
        table.extend(1u32.to_le_bytes());
        table.resize(HEADER, 0);
        table.extend([1u32, 72, 79, 0, 0, 0].iter().flat_map(|n| n.to_le_bytes()));
        table.extend(b"liba.1\0/usr/lib/liba.1\0");
        cache.extend(&table);
        assert_eq!(parse(&cache).unwrap(), [("liba.1".to_owned(), "/usr/lib/liba.1".to_owned())]);
        table.truncate(75);
        assert_eq!(parse(&table).unwrap(), []);
        assert_eq!(parse(b""), None);
    }
}
