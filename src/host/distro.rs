//! Which distribution this is, and how it installs a package: hints name one command, not three.

/// The fields of os-release(5) that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    pub id: String,
    pub like: Vec<String>,
    pub version: String,
    pub codename: String,
    pub pretty_name: String,
}

impl Distribution {
    /// Of this machine.
    pub fn here() -> Self {
        let read = |path| std::fs::read_to_string(path).ok();
        Self::parse(&read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default())
    }

    /// Shell assignments, quoted or not.
    pub fn parse(text: &str) -> Self {
        let get = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            value.unwrap_or_default().trim().trim_matches(['"', '\'']).to_owned()
        };
        Self {
            id: get("ID"),
            like: get("ID_LIKE").split_whitespace().map(str::to_owned).collect(),
            version: get("VERSION_ID"),
            codename: get("VERSION_CODENAME"),
            pretty_name: get("PRETTY_NAME"),
        }
    }

    /// The command that installs a package known by these names: Debian/Ubuntu, Fedora/RHEL, SUSE.
    pub fn install(&self, packages: [&str; 3]) -> String {
        let [deb, rpm, suse] = packages;
        let family = std::iter::once(&self.id).chain(&self.like);
        for id in family {
            match id.as_str() {
                "debian" | "ubuntu" => return format!("apt install {deb}"),
                "fedora" | "rhel" | "centos" => return format!("dnf install {rpm}"),
                id if id.contains("suse") => return format!("zypper install {suse}"),
                "arch" => return format!("pacman -S {rpm}"),
                "alpine" => return format!("apk add {rpm}"),
                _ => {}
            }
        }
        format!("install the package {rpm} (on Debian: {deb})")
    }
}

/// The command that installs a package on this machine.
pub fn install_command(packages: [&str; 3]) -> String {
    Distribution::here().install(packages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_family_decides_the_command() {
        let packages = ["uidmap", "shadow-utils", "shadow"];
        let install = |text| Distribution::parse(text).install(packages);
        assert_eq!(install("ID=debian\nVERSION_ID=\"13\"\n"), "apt install uidmap");
        assert_eq!(install("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"), "apt install uidmap");
        assert_eq!(install("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), "dnf install shadow-utils");
        assert_eq!(install("ID=\"opensuse-leap\"\n"), "zypper install shadow");
        assert_eq!(install(""), "install the package shadow-utils (on Debian: uidmap)");
    }

    #[test]
    fn values_may_be_quoted() {
        let os = Distribution::parse("PRETTY_NAME=\"Debian 13\"\nID='debian'\nVERSION_CODENAME=trixie\n");
        assert_eq!(
            (os.id.as_str(), os.codename.as_str(), os.pretty_name.as_str()),
            ("debian", "trixie", "Debian 13")
        );
    }
}
