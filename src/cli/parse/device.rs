//! `--device SRC[:DST][:rwm]`.

use crate::error::Result;

/// Source, destination, permissions.
pub fn parse(text: &str) -> Result<(String, String, String)> {
    let bad = |why| super::invalid("device", text, why, "--device /dev/fuse:/dev/fuse:rwm");
    if !text.starts_with('/') {
        if text.contains('=') && text.contains('/') {
            return Err(super::unsupported(format_args!("the CDI device {text}")));
        }
        return Err(bad("the source is not an absolute path"));
    }
    let is_mode =
        |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b"rwm".contains(&b));
    let fields: Vec<&str> = text.split(':').collect();
    let (source, destination, mode) = match fields.as_slice() {
        [source] => (*source, *source, "rwm"),
        [source, mode] if is_mode(mode) => (*source, *source, *mode),
        [source, destination] => (*source, *destination, "rwm"),
        [source, destination, mode] if is_mode(mode) => (*source, *destination, *mode),
        [_, _, _] => return Err(bad("the permissions are not made of r, w and m")),
        _ => return Err(bad("too many colons")),
    };
    let destination = super::volume::ctr_path(destination)
        .ok_or_else(|| bad("the path in the container is not absolute"))?;
    Ok((source.to_owned(), destination, mode.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn devices() {
        assert_eq!(parse("/dev/a").unwrap(), ("/dev/a".into(), "/dev/a".into(), "rwm".into()));
        assert_eq!(parse("/dev/a:rw").unwrap().2, "rw");
        assert_eq!(parse("/dev/a:/dev/b:r").unwrap(), ("/dev/a".into(), "/dev/b".into(), "r".into()));
        for bad in ["a", "/dev/a:b", "/dev/a:/b:x", "nvidia.com/gpu=all", "/a:/b:r:w"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
