//! `--log-driver` and `--log-opt`.

use crate::error::Result;
use crate::ondisk::container::{Log, LogDriver};

/// Where a container's output goes.
pub fn parse(driver: Option<&str>, options: &[String]) -> Result<Log> {
    let driver = match driver {
        None | Some("" | "k8s-file" | "json-file") => LogDriver::K8sFile,
        Some("none") => LogDriver::None,
        Some("passthrough") => LogDriver::Passthrough,
        Some(known @ ("journald" | "passthrough-tty")) => {
            return Err(
                super::unsupported(format_args!("log driver {known}")).hint("Use `--log-driver k8s-file`.")
            );
        }
        Some(other) => {
            return Err(super::invalid("log driver", other, "one of k8s-file, none, passthrough", ""));
        }
    };
    let mut log = Log { driver, max_size: None, path: None };
    for option in options {
        let (key, value) = super::label::strict_pair("--log-opt", option, "--log-opt max-size=10m")?;
        match key.as_str() {
            "path" if value.starts_with('/') => log.path = Some(value),
            "path" => return Err(super::invalid("--log-opt", option, "the path is not absolute", "")),
            "max-size" => {
                log.max_size = Some(super::size::bytes("--log-opt max-size", &value)?).filter(|n| *n > 0);
            }
            "tag" | "label" => return Err(super::unsupported(format_args!("--log-opt {key}"))),
            _ => {
                return Err(super::invalid(
                    "--log-opt",
                    option,
                    "one of path, max-size",
                    "--log-opt max-size=10m",
                ));
            }
        }
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_and_options() {
        let log = parse(Some("json-file"), &["max-size=1m".into(), "path=/l".into()]).unwrap();
        assert_eq!(log, Log { driver: LogDriver::K8sFile, max_size: Some(1 << 20), path: Some("/l".into()) });
        assert!(parse(Some("journald"), &[]).unwrap_err().what().contains("not supported yet"));
        assert!(parse(Some("syslog"), &[]).is_err());
        assert!(parse(None, &["tag=x".into()]).is_err());
    }
}
