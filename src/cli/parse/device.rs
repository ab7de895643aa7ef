//! `--device SRC[:DST][:rwm]`, `--device VENDOR/CLASS=NAME`, and `--gpus`.

use crate::engine::options::DeviceOption;
use crate::error::Result;

/// A node of the host's, or a device by its CDI name.
pub fn parse(text: &str) -> Result<DeviceOption> {
    let bad = |why| super::invalid("device", text, why, "--device /dev/fuse:/dev/fuse:rwm");
    if !text.starts_with('/') {
        if crate::spec::cdi::qualified(text).is_some() {
            return Ok(DeviceOption::Cdi(text.to_owned()));
        }
        return Err(bad("neither an absolute path nor VENDOR/CLASS=NAME"));
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
    Ok(DeviceOption::Node { source: source.to_owned(), destination, access: mode.to_owned() })
}

/// One value of `--gpus`, split at commas: `all`, `0`, and docker's `device=0`.
pub fn gpu(text: &str) -> Result<DeviceOption> {
    let name = text.trim_matches('"');
    let name = name.strip_prefix("device=").unwrap_or(name);
    // As the name of a device in any spec.
    if crate::spec::cdi::qualified(&format!("v/c={name}")).is_none() {
        return Err(super::invalid(
            "--gpus",
            text,
            "neither all nor the number or name of a GPU",
            "--gpus all",
        ));
    }
    Ok(DeviceOption::Gpu(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(source: &str, destination: &str, access: &str) -> DeviceOption {
        let own = str::to_owned;
        DeviceOption::Node { source: own(source), destination: own(destination), access: own(access) }
    }

    #[test]
    fn devices() {
        assert_eq!(parse("/dev/a").unwrap(), node("/dev/a", "/dev/a", "rwm"));
        assert_eq!(parse("/dev/a:rw").unwrap(), node("/dev/a", "/dev/a", "rw"));
        assert_eq!(parse("/dev/a:/dev/b:r").unwrap(), node("/dev/a", "/dev/b", "r"));
        assert_eq!(parse("nvidia.com/gpu=all").unwrap(), DeviceOption::Cdi("nvidia.com/gpu=all".into()));
        for bad in ["a", "/dev/a:b", "/dev/a:/b:x", "gpu=all", "a/b=", "/a:/b:r:w"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn gpus() {
        for (text, name) in [("all", "all"), ("0", "0"), ("device=1", "1"), ("\"device=GPU-1:0\"", "GPU-1:0")]
        {
            assert_eq!(gpu(text).unwrap(), DeviceOption::Gpu(name.into()));
        }
        for bad in ["", "capabilities=utility", "a b", "-1"] {
            assert!(gpu(bad).is_err(), "{bad}");
        }
    }
}
