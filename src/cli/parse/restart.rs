//! `--restart no|never|always|unless-stopped|on-failure[:N]`.

use crate::error::Result;
use crate::ondisk::container::Restart;

/// The policy.
pub fn parse(text: &str) -> Result<Restart> {
    let bad = |why| super::invalid("restart policy", text, why, "--restart on-failure:3");
    match text.split_once(':') {
        None => match text {
            "" | "no" | "never" => Ok(Restart::No),
            "always" => Ok(Restart::Always),
            "unless-stopped" => Ok(Restart::UnlessStopped),
            "on-failure" => Ok(Restart::OnFailure { max: None }),
            _ => Err(bad("one of no, always, unless-stopped, on-failure[:N]")),
        },
        Some(("on-failure", max)) => match max.parse() {
            Ok(max) => Ok(Restart::OnFailure { max: Some(max) }),
            Err(_) => Err(bad("the number of retries is not a number")),
        },
        Some(_) => Err(bad("only on-failure takes a number of retries")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        assert_eq!(parse("on-failure:3").unwrap(), Restart::OnFailure { max: Some(3) });
        assert_eq!(parse("never").unwrap(), Restart::No);
        for bad in ["sometimes", "always:3", "on-failure:x", "on-failure:-1"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
