//! Tests of the archive reader: what Go's reader takes is taken, and what is odd is refused.

use super::*;

/// One header block.
pub(super) fn block(name: &str, typeflag: u8, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name.as_bytes());
    old.linkflag = [typeflag];
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn member(name: &str, typeflag: u8, data: &[u8]) -> Vec<u8> {
    padded([block(name, typeflag, data.len() as u64), data.to_vec()].concat())
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..).map(|digits| rest + digits).find(|l| l.to_string().len() + rest == *l).unwrap();
        out.extend(format!("{length} {key}=").into_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }
    out
}

fn read(bytes: &[u8]) -> Result<Vec<(Entry, Vec<u8>)>> {
    let mut reader = TarReader::new(bytes);
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut data = Vec::new();
        loop {
            let part = reader.data()?.to_vec();
            if part.is_empty() {
                break;
            }
            reader.consume(part.len());
            data.extend(part);
        }
        entries.push((entry, data));
    }
    Ok(entries)
}

#[test]
fn names_sizes_and_attributes_of_pax_records_win() {
    let records: &[(&str, &[u8])] = &[
        ("path", b"long/name"),
        ("size", b"3"),
        ("uid", b"70000"),
        ("mtime", b"-1.5"),
        ("SCHILY.xattr.security.capability", b"\x01\n\x00="),
    ];
    let bytes = [
        member("pax", b'x', &pax(records)),
        // The ustar size is 0, as CVE-2025-62518 has it: the record's must be used, or the data would be read as headers.
        padded([block("short", b'0', 0), b"abc".to_vec()].concat()),
        member("next", b'0', b"n"),
    ]
    .concat();
    let entries = read(&bytes).unwrap();
    let (first, data) = &entries[0];
    assert_eq!((first.path.as_slice(), data.as_slice(), first.uid), (&b"long/name"[..], &b"abc"[..], 70000));
    assert_eq!(first.mtime, (-2, 500_000_000));
    assert_eq!(first.xattrs, [(b"security.capability".to_vec(), b"\x01\n\x00=".to_vec())]);
    assert_eq!(entries[1].0.path, b"next");
}

#[test]
fn gnu_long_names_are_read() {
    let long = "d/".repeat(200) + "f";
    let bytes =
        [member("././@LongLink", b'L', format!("{long}\0").as_bytes()), member("cut", b'0', b"x")].concat();
    assert_eq!(read(&bytes).unwrap()[0].0.path, long.as_bytes());
}

#[test]
fn links_and_directories_have_no_data_whatever_their_header_says() {
    let bytes = [block("link", b'1', 100), member("f", b'0', b"x")].concat();
    let entries = read(&bytes).unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].0.size, 0);
}

#[test]
fn the_end_is_two_zero_blocks_or_the_end_of_the_stream() {
    let one = member("f", b'0', b"x");
    assert_eq!(read(&one).unwrap().len(), 1);
    let ended = [one, vec![0; 1024], member("after", b'0', b"y")].concat();
    assert_eq!(read(&ended).unwrap().len(), 1);
    assert_eq!(read(b"").unwrap().len(), 0);
}

#[test]
fn old_gnu_sparse_files_keep_their_pieces() {
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o600);
    let gnu = header.as_gnu_mut().unwrap();
    gnu.name[0] = b's';
    gnu.typeflag = [b'S'];
    gnu.set_real_size(1000);
    gnu.sparse[0].set_offset(10);
    gnu.sparse[0].set_length(4);
    header.as_old_mut().uid = *b"0000000\0";
    header.as_old_mut().gid = *b"0000000\0";
    header.set_cksum();
    let bytes = padded([header.as_bytes().to_vec(), b"data".to_vec()].concat());
    let entries = read(&bytes).unwrap();
    assert_eq!(entries[0].0.sparse, Some((vec![(10, 4)], 1000)));
    assert_eq!(entries[0].1, b"data");
}

#[test]
fn damaged_archives_are_errors_and_never_guesses() {
    let good = member("f", b'0', b"0123456789");
    let mut wrong_sum = good.clone();
    wrong_sum[0] = b'g';
    let negative = {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[0] = b'n';
        header.as_old_mut().size = [0xff; 12];
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let huge = {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().size = [0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    for (why, bytes) in [
        ("checksum", wrong_sum),
        ("cut in the data", good[..515].to_vec()),
        ("cut in a header", good[..100].to_vec()),
        ("one zero block", [vec![0; 512], good.clone()].concat()),
        ("negative size", negative),
        ("size beyond 64 bits", huge),
        ("pax record too long", [block("x", b'x', 2 << 20), vec![0; 2 << 20]].concat()),
        ("pax without a member", member("x", b'x', &pax(&[("path", b"a")]))),
        ("pax length lies", [member("x", b'x', b"99 path=a\n"), good.clone()].concat()),
        ("pax length 0", [member("x", b'x', b"0 path=a\n"), good.clone()].concat()),
        ("pax without =", [member("x", b'x', b"9 path a\n"), good.clone()].concat()),
        ("pax size is no number", [member("x", b'x', &pax(&[("size", b"-1")])), good.clone()].concat()),
        (
            "pax size impossible",
            [member("x", b'x', &pax(&[("size", b"18446744073709551615")])), good.clone()].concat(),
        ),
        ("nul in a name", [member("x", b'x', &pax(&[("path", b"a\0b")])), good.clone()].concat()),
        ("pax sparse", [member("x", b'x', &pax(&[("GNU.sparse.major", b"1")])), good.clone()].concat()),
        ("unknown type", member("f", b'V', b"")),
        (
            "xattr too large",
            [member("x", b'x', &pax(&[("SCHILY.xattr.user.x", &[b'a'; 70_000])])), good.clone()].concat(),
        ),
    ] {
        assert!(read(&bytes).is_err(), "{why}");
    }
}

#[test]
fn every_cut_of_an_archive_ends_without_a_panic() {
    let records: &[(&str, &[u8])] = &[("path", b"p"), ("SCHILY.xattr.user.a", b"b")];
    let bytes =
        [member("x", b'x', &pax(records)), member("f", b'0', &[7; 700]), member("d/", b'5', b"")].concat();
    for end in 0..bytes.len() {
        let _ = read(&bytes[..end]);
    }
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x55;
        let _ = read(&flipped);
    }
}
