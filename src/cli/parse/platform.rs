//! Which image: `--platform os/arch[/variant]`, or `--os`, `--arch`, `--variant`; and when to pull it.

use crate::engine::options::PullPolicy;
use crate::error::{Error, Result};
use crate::spec::image::host_architecture;

/// `--pull` and `--policy`, with Kubernetes' spellings.
pub fn pull_policy(text: &str) -> Result<PullPolicy> {
    match text {
        "missing" | "ifnotpresent" | "IfNotPresent" | "false" => Ok(PullPolicy::Missing),
        "always" | "true" => Ok(PullPolicy::Always),
        "never" => Ok(PullPolicy::Never),
        "newer" | "ifnewer" => Ok(PullPolicy::Newer),
        other => {
            Err(super::invalid("pull policy", other, "one of missing, always, newer, never", "--pull=newer"))
        }
    }
}

/// `os/arch[/variant]`, or none when nothing is asked for.
pub fn parse(
    platform: Option<&str>,
    os: Option<&str>,
    arch: Option<&str>,
    variant: Option<&str>,
) -> Result<Option<String>> {
    if let Some(platform) = platform {
        if os.is_some() || arch.is_some() {
            return Err(Error::usage("--platform cannot be combined with --os or --arch"));
        }
        let parts: Vec<&str> = platform.split('/').collect();
        if !(1..=3).contains(&parts.len()) || parts.iter().any(|part| part.is_empty()) {
            return Err(super::invalid(
                "platform",
                platform,
                "not os/arch[/variant]",
                "--platform linux/arm64",
            ));
        }
        return Ok(Some(platform.to_owned()));
    }
    if os.is_none() && arch.is_none() && variant.is_none() {
        return Ok(None);
    }
    let base = format!("{}/{}", os.unwrap_or("linux"), arch.unwrap_or(host_architecture()));
    Ok(Some(variant.map_or(base.clone(), |variant| format!("{base}/{variant}"))))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn platforms() {
        assert_eq!(parse(Some("linux/arm/v7"), None, None, None).unwrap().as_deref(), Some("linux/arm/v7"));
        assert_eq!(parse(None, None, Some("arm64"), None).unwrap().as_deref(), Some("linux/arm64"));
        assert_eq!(parse(None, None, None, None).unwrap(), None);
        assert!(parse(Some("linux/arm64"), None, Some("arm64"), None).is_err());
        assert!(parse(Some("linux//v7"), None, None, None).is_err());
    }
}
