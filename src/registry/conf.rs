//! registries.conf (version 2): which registry a name means, where it really is, and whether it speaks TLS.
//!
//! Read: the user's `containers/registries.conf`, or else /etc's, then the drop-ins of `registries.conf.d` in both, in
//! order of name; later ones win by prefix. Certificates of `certs.d/<host>/*.crt` are trusted for that host.
//!
//! Where a site enforces which images may be used, only /etc's files say where a registry is and whom to trust: a name that is
//! on its list must lead where its administrator means it to. What a short name stands for is still the user's: the full name
//! is compared.

use crate::error::{Error, Kind, Result};
use crate::paths::Dirs;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where the administrator's files are.
const ETC: &str = "/etc/containers";

/// docker.io is served there.
pub(super) const DOCKER_HOST: &str = "index.docker.io";

/// Whose files say where a registry is, and which certificates are trusted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Whose {
    #[default]
    Users,
    Administrators,
}

/// What registries.conf says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RegistriesConf {
    #[serde(skip)]
    whose: Whose,
    /// Registries that a short name is looked for in.
    pub unqualified_search_registries: Option<Vec<String>>,
    registry: Vec<Registry>,
    /// Short names with one meaning.
    aliases: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Registry {
    /// The user's file says so, not the administrator's.
    #[serde(skip)]
    users: bool,
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror: Vec<Mirror>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Mirror {
    location: String,
    insecure: bool,
}

/// One place to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    pub host: String,
    /// Repository there.
    pub path: String,
    /// Certificates are not checked, and it may be without TLS.
    pub insecure: bool,
    /// Somebody's copy, not the place that was named.
    pub mirror: bool,
    /// Another place than the name says, by the user's word.
    pub moved: bool,
}

impl RegistriesConf {
    /// Reads the files; a missing file says nothing, a damaged one is an error that names it.
    pub fn read(dirs: &Dirs, whose: Whose) -> Result<Self> {
        let (user, etc) = (dirs.config.join("containers"), PathBuf::from(ETC));
        let mut conf = Self::read_from(&[&user, &etc])?;
        if whose == Whose::Administrators {
            conf.registry = Self::read_from(&[&etc])?.registry;
        }
        conf.whose = whose;
        Ok(conf)
    }

    /// The first main file, and the drop-ins of all, of which the first directory's win.
    fn read_from(dirs: &[&Path]) -> Result<Self> {
        let mut conf = match dirs.iter().map(|dir| dir.join("registries.conf")).find(|file| file.exists()) {
            Some(file) => Self::read_file(&file)?,
            None => Self::default(),
        };
        for dir in dirs.iter().rev() {
            let mut files: Vec<PathBuf> = std::fs::read_dir(dir.join("registries.conf.d"))
                .map(|entries| entries.filter_map(|e| e.ok().map(|e| e.path())).collect())
                .unwrap_or_default();
            files.retain(|file| file.extension().is_some_and(|e| e == "conf"));
            files.sort();
            for file in files {
                conf.merge(Self::read_file(&file)?);
            }
        }
        Ok(conf)
    }

    fn read_file(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::new(Kind::Denied, format_args!("cannot read {}", file.display())).cause(e))?;
        let mut conf =
            Self::parse(&text).map_err(|e| e.wrap(format_args!("cannot use {}", file.display())))?;
        let users = !file.starts_with(ETC);
        conf.registry.iter_mut().for_each(|registry| registry.users = users);
        Ok(conf)
    }

    /// Parses one file.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text)
            .map_err(|e| Error::usage("it is not a registries.conf of version 2").cause(e.to_string().trim()))
    }

    fn merge(&mut self, over: Self) {
        if over.unqualified_search_registries.is_some() {
            self.unqualified_search_registries = over.unqualified_search_registries;
        }
        for registry in over.registry {
            self.registry.retain(|r| r.key() != registry.key());
            self.registry.push(registry);
        }
        self.aliases.extend(over.aliases);
    }

    /// The full names that a short one may mean: an alias, else every search registry, else docker.io.
    pub fn meanings(&self, short: &str) -> Vec<String> {
        if let Some(full) = self.aliases.get(short).filter(|full| !full.is_empty()) {
            return vec![full.clone()];
        }
        match self.unqualified_search_registries.as_deref() {
            Some(registries) if !registries.is_empty() => {
                registries.iter().map(|r| format!("{r}/{short}")).collect()
            }
            _ => vec![format!("docker.io/{short}")],
        }
    }

    /// Where to ask for a repository: mirrors first, then the place itself.
    pub fn endpoints(&self, domain: &str, path: &str, tls_verify: Option<bool>) -> Result<Vec<Endpoint>> {
        let name = format!("{domain}/{path}");
        let found = self.registry.iter().filter(|r| r.covers(&name)).max_by_key(|r| r.key().len());
        let insecure = |said: bool| tls_verify.map_or(said, |verify| !verify);
        let Some(registry) = found else {
            return Ok(vec![Endpoint {
                host: host_of(domain),
                path: path.to_owned(),
                insecure: insecure(false),
                mirror: false,
                moved: false,
            }]);
        };
        if registry.blocked {
            return Err(Error::new(Kind::Denied, format_args!("the registry {domain} is blocked"))
                .cause("registries.conf says `blocked = true`")
                .hint(
                    "Ask your administrator, or change the entry in ~/.config/containers/registries.conf.",
                ));
        }
        let place = |location: &str, said: bool, mirror: bool| {
            let whole = if location.is_empty() || registry.prefix.starts_with("*.") {
                name.clone()
            } else {
                format!("{location}{}", name.get(registry.key().len()..).unwrap_or_default())
            };
            let (host, path) = whole.split_once('/').unwrap_or((&whole, ""));
            let moved = registry.users && whole != name;
            Endpoint { host: host_of(host), path: path.to_owned(), insecure: insecure(said), mirror, moved }
        };
        let mut endpoints: Vec<Endpoint> =
            registry.mirror.iter().map(|m| place(&m.location, m.insecure, true)).collect();
        endpoints.push(place(&registry.location, registry.insecure, false));
        Ok(endpoints)
    }
}

impl Endpoint {
    /// As a name says it: `docker.io/library/debian`.
    pub fn place(&self) -> String {
        let host = if self.host == DOCKER_HOST { "docker.io" } else { &self.host };
        format!("{host}/{}", self.path)
    }
}

impl Registry {
    /// What names it is for: its prefix, or its location.
    fn key(&self) -> &str {
        if self.prefix.is_empty() { &self.location } else { &self.prefix }
    }

    fn covers(&self, name: &str) -> bool {
        let key = self.key();
        if let Some(suffix) = key.strip_prefix('*') {
            let host = name.split('/').next().unwrap_or_default();
            return host.ends_with(suffix) && host.len() > suffix.len();
        }
        !key.is_empty()
            && name.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']))
    }
}

/// docker.io is served under another name.
fn host_of(domain: &str) -> String {
    if domain == "docker.io" { DOCKER_HOST.to_owned() } else { domain.to_owned() }
}

/// Certificates that are trusted for a host, in PEM.
pub(super) fn certificates(dirs: &Dirs, conf: &RegistriesConf, host: &str) -> Vec<Vec<u8>> {
    let mut places = vec![PathBuf::from(ETC), PathBuf::from("/etc/docker")];
    if conf.whose == Whose::Users {
        places.push(dirs.config.join("containers"));
    }
    let mut found = Vec::new();
    for place in places {
        let Ok(entries) = std::fs::read_dir(place.join("certs.d").join(host)) else { continue };
        for file in entries.filter_map(|e| e.ok().map(|e| e.path())) {
            if file.extension().is_some_and(|e| e == "crt") {
                found.extend(std::fs::read(&file));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = r#"
unqualified-search-registries = ["q.io", "docker.io"]
[[registry]]
prefix = "q.io/team"
location = "inner.example/mirror-of-team"
[[registry.mirror]]
location = "127.0.0.1:5000/m"
insecure = true
[[registry]]
location = "bad.example"
blocked = true
[[registry]]
location = "old.example"
insecure = true
[aliases]
"debian" = "docker.io/library/debian"
"#;

    #[test]
    fn the_longest_prefix_decides_and_mirrors_come_first() {
        let conf = RegistriesConf::parse(CONF).unwrap();
        let e = conf.endpoints("q.io", "team/app", None).unwrap();
        assert_eq!(
            (e[0].host.as_str(), e[0].path.as_str(), e[0].insecure),
            ("127.0.0.1:5000", "m/app", true)
        );
        assert_eq!(
            (e[1].host.as_str(), e[1].path.as_str(), e[1].insecure),
            ("inner.example", "mirror-of-team/app", false)
        );
        let e = conf.endpoints("q.io", "teamwork/app", None).unwrap();
        assert_eq!(e[0].host, "q.io");
        assert!(conf.endpoints("bad.example", "x", None).is_err());
        assert!(conf.endpoints("old.example", "x", None).unwrap()[0].insecure);
        assert!(!conf.endpoints("old.example", "x", Some(true)).unwrap()[0].insecure);
        assert!(conf.endpoints("any.example", "x", Some(false)).unwrap()[0].insecure);
        assert_eq!(conf.endpoints("docker.io", "library/x", None).unwrap()[0].host, "index.docker.io");
    }

    #[test]
    fn short_names_are_aliases_then_search_then_docker() {
        let conf = RegistriesConf::parse(CONF).unwrap();
        assert_eq!(conf.meanings("debian"), ["docker.io/library/debian"]);
        assert_eq!(conf.meanings("app"), ["q.io/app", "docker.io/app"]);
        assert_eq!(RegistriesConf::default().meanings("app"), ["docker.io/app"]);
    }

    #[test]
    fn a_damaged_file_is_an_error() {
        assert!(RegistriesConf::parse("[[registry]\n").is_err());
    }
}
