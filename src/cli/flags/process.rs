//! Flags of the payload's process, for `run` and `create`.

use crate::cli::parse;
use crate::engine::options::ProcessOptions;
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use std::collections::BTreeMap;

#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessFlags {
    /// Allocate a terminal for the container
    #[arg(short, long)]
    pub tty: bool,
    /// Keep stdin open
    #[arg(short, long)]
    pub interactive: bool,
    /// Set an environment variable; KEY alone or PREFIX* takes the values from the host
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file, one KEY=VALUE a line
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<String>,
    /// Pass the whole environment of the host
    #[arg(long)]
    pub env_host: bool,
    /// Pass the host's proxy variables (http_proxy, no_proxy, …)
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub http_proxy: bool,
    /// Remove a variable of the image's environment
    #[arg(long, value_name = "KEY")]
    pub unsetenv: Vec<String>,
    /// Remove all variables of the image's environment
    #[arg(long)]
    pub unsetenv_all: bool,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// User and group: a name of the image's, or a number
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Additional groups: names of the image's, or numbers
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub group_add: Vec<String>,
    /// Host name in the container; the container's short id if not given
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Run a small init as pid 1, which forwards signals and reaps processes
    #[arg(long)]
    pub init: bool,
    /// Umask in octal
    #[arg(long, value_name = "MASK")]
    pub umask: Option<String>,
    /// Resource limits of setrlimit(2), or host: the caller's own
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_delimiter = ',')]
    pub ulimit: Vec<String>,
    /// How likely the kernel kills the container when memory runs out, -1000 to 1000
    #[arg(long, value_name = "N")]
    pub oom_score_adj: Option<String>,
    /// Time zone: a name such as Europe/Berlin, or `local`
    #[arg(long, value_name = "ZONE")]
    pub tz: Option<String>,
    /// Kernel parameters of the container's namespaces
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    pub sysctl: Vec<String>,
}

impl ProcessFlags {
    /// Checks the values and reads the files they name.
    pub fn to_options(&self) -> Result<ProcessOptions> {
        if let Some(dir) = self.workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
            return Err(parse::invalid("working directory", dir, "not an absolute path", "--workdir /src"));
        }
        if self.group_add.iter().any(|g| g == "keep-groups") {
            return Err(parse::unsupported("--group-add keep-groups"));
        }
        Ok(ProcessOptions {
            tty: self.tty,
            interactive: self.interactive,
            own_stdin: false,
            env: self.environment()?,
            host_env: Vec::new(),
            host_cwd: None,
            unset_env: self.unsetenv.clone(),
            unset_env_all: self.unsetenv_all,
            workdir: self.workdir.clone(),
            user: self.user.clone().filter(|u| !u.is_empty()),
            groups: self.group_add.clone(),
            hostname: hostname(self.hostname.as_deref())?,
            init: self.init,
            umask: self.umask.as_deref().map(umask).transpose()?,
            rlimits: self.rlimits()?,
            oom_score_adj: self.oom_score_adj.as_deref().map(oom_score).transpose()?,
            timezone: self.tz.clone(),
            sysctl: self.sysctls()?,
        })
    }

    /// podman's precedence: proxies, --env-host, --env-file, --env.
    fn environment(&self) -> Result<Vec<(String, String)>> {
        let host = parse::env::host();
        let mut env = if self.http_proxy { parse::env::proxies(&host) } else { Vec::new() };
        if self.env_host {
            env.extend(host.iter().map(|(k, v)| (k.clone(), v.clone())));
        }
        env.extend(environment(&self.env_file, &self.env, &host)?);
        Ok(env)
    }

    fn rlimits(&self) -> Result<Vec<(String, u64, u64)>> {
        // The caller's own: those that a container has without any --ulimit.
        if self.ulimit.iter().any(|u| u == "host") {
            if self.ulimit.len() > 1 {
                return Err(Error::usage("--ulimit host cannot be combined with other limits"));
            }
            return Ok(Vec::new());
        }
        let mut limits: Vec<(String, u64, u64)> = Vec::new();
        for text in &self.ulimit {
            let limit = parse::ulimit::parse(text)?;
            limits.retain(|(name, _, _)| *name != limit.0);
            limits.push(limit);
        }
        Ok(limits)
    }

    fn sysctls(&self) -> Result<BTreeMap<String, String>> {
        let pair =
            |text: &String| parse::label::strict_pair("--sysctl", text, "--sysctl net.ipv4.ip_forward=1");
        self.sysctl.iter().map(pair).collect()
    }
}

/// `--env-file`, and `--env` above it.
pub fn environment(
    files: &[String],
    single: &[String],
    host: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>> {
    let mut env = Vec::new();
    for path in files {
        env.extend(parse::env::file(path, &read_text(path, "--env-file")?, host)?);
    }
    for one in single {
        env.extend(parse::env::parse(one, host)?);
    }
    Ok(env)
}

/// A small text file that a flag names.
pub fn read_text(path: &str, flag: &str) -> Result<String> {
    let read =
        if path == "-" { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    read.call(|| format!("read({path:?})")).what(|| format!("cannot read {path} of {flag}"))
}

fn umask(text: &str) -> Result<u32> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mask| *mask <= 0o777)
        .ok_or_else(|| parse::invalid("umask", text, "not an octal number up to 0777", "--umask 0022"))
}

fn oom_score(text: &str) -> Result<i32> {
    text.parse().ok().filter(|score| (-1000..=1000).contains(score)).ok_or_else(|| {
        parse::invalid("--oom-score-adj", text, "not a number from -1000 to 1000", "--oom-score-adj 500")
    })
}

/// The value of `--hostname`; empty is as good as none.
pub fn hostname(name: Option<&str>) -> Result<Option<String>> {
    match name {
        Some(name) if !is_hostname(name) => Err(parse::invalid(
            "hostname",
            name,
            "not letters, digits, `-` and `.`, up to 64",
            "--hostname web",
        )),
        name => Ok(name.filter(|name| !name.is_empty()).map(str::to_owned)),
    }
}

/// The kernel's limit is 64 bytes.
fn is_hostname(name: &str) -> bool {
    name.len() <= 64
        && name.split('.').all(|label| {
            !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// The words of `--entrypoint`: one program, or a JSON array; empty clears the image's.
pub fn entrypoint(text: &str) -> Result<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    if !text.trim_start().starts_with('[') {
        return Ok(vec![text.to_owned()]);
    }
    serde_json::from_str(text).map_err(|e| {
        Error::usage(format_args!("invalid entrypoint {text:?}"))
            .cause(e)
            .hint("For example: `--entrypoint '[\"sh\", \"-c\"]'`.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrypoints() {
        assert_eq!(entrypoint("/bin/sh").unwrap(), ["/bin/sh"]);
        assert_eq!(entrypoint(r#"["a","b c"]"#).unwrap(), ["a", "b c"]);
        assert!(entrypoint("").unwrap().is_empty());
        assert!(entrypoint("[a").is_err());
    }

    #[test]
    fn small_values() {
        assert_eq!(umask("0027").unwrap(), 0o27);
        assert!(umask("9").is_err() && umask("1777").is_err());
        assert!(oom_score("-1001").is_err() && oom_score("500").is_ok());
        assert!(
            is_hostname("a-b.c")
                && !is_hostname("-a")
                && !is_hostname("a b")
                && !is_hostname(&"a".repeat(65))
        );
    }
}
