//! Environment variables: `K=V`, `K` and `PREFIX*` from the host, files of them.

use crate::error::Result;
use std::collections::BTreeMap;

/// Variables of the host's environment that are passed in unless `--http-proxy=false`.
const PROXIES: [&str; 8] = [
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
];

/// The caller's environment, without what is not UTF-8.
pub fn host() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// The host's proxy settings.
pub fn proxies(host: &BTreeMap<String, String>) -> Vec<(String, String)> {
    host.iter()
        .filter(|(key, _)| PROXIES.contains(&key.as_str()))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// One `--env`: may give none (`K` unset on the host) or many (`K*`).
pub fn parse(text: &str, host: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let bad = |why: &str| super::invalid("environment variable", text, why, "--env KEY=VALUE");
    if let Some((key, value)) = text.split_once('=') {
        if key.is_empty() {
            return Err(bad("no name before the `=`"));
        }
        return Ok(vec![(key.to_owned(), value.to_owned())]);
    }
    if text.is_empty() {
        return Err(bad("empty"));
    }
    if let Some(prefix) = text.strip_suffix('*') {
        let matching = host.iter().filter(|(key, _)| key.starts_with(prefix));
        return Ok(matching.map(|(k, v)| (k.clone(), v.clone())).collect());
    }
    Ok(host.get(text).map(|value| (text.to_owned(), value.clone())).into_iter().collect())
}

/// The lines of an `--env-file`: leading blanks trimmed, `#` comments, name and value taken as they are (no unquoting).
pub fn file(path: &str, content: &str, host: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for (number, line) in content.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        all.extend(parse(line, host).map_err(|e| e.cause(format_args!("{path}:{}", number + 1)))?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_env() -> BTreeMap<String, String> {
        [("LANG", "C"), ("LC_ALL", "C.UTF-8"), ("http_proxy", "p")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn values_come_from_the_text_or_the_host() {
        let env = host_env();
        assert_eq!(parse("A=b=c", &env).unwrap(), [("A".into(), "b=c".into())]);
        assert_eq!(parse("LANG", &env).unwrap(), [("LANG".into(), "C".into())]);
        assert_eq!(parse("NONE", &env).unwrap(), []);
        assert_eq!(parse("L*", &env).unwrap().len(), 2);
        assert!(parse("=x", &env).is_err());
        assert_eq!(proxies(&env), [("http_proxy".into(), "p".into())]);
    }

    #[test]
    fn files_keep_quotes() {
        let env = file("f", "# c\n  A=\"x y\" # no comment\nLANG\n", &host_env()).unwrap();
        assert_eq!(env, [("A".into(), "\"x y\" # no comment".into()), ("LANG".into(), "C".into())]);
        assert_eq!(file("f", "B C=1\n", &host_env()).unwrap(), [("B C".into(), "1".into())]);
        assert!(file("f", "A=1\n=1\n", &host_env()).unwrap_err().causes()[0].starts_with("f:2"));
    }
}
