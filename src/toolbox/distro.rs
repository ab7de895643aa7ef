//! `--distro` and `--release`: which image that is, and the box's name.
//!
//! Names, numbers and images are toolbox's where it knows the distribution. The others are the distribution's own image:
//! a box needs none that was prepared.

use crate::error::{Error, Result};

/// What is asked for by a distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub image: String,
    /// `fedora-toolbox-42`.
    pub name: String,
}

/// A distribution: its word, a release as its users write it, and whether a text is one.
struct Distro {
    id: &'static str,
    example: &'static str,
    is_release: fn(&str) -> bool,
    image: fn(&str) -> String,
}

const DISTROS: [Distro; 6] = [
    Distro {
        id: "alpine",
        example: "3.22",
        is_release: |r| r == "edge" || two_numbers(r),
        image: |r| format!("docker.io/library/alpine:{r}"),
    },
    Distro {
        id: "arch",
        example: ROLLING,
        is_release: |r| r == ROLLING,
        image: |r| format!("quay.io/toolbx/arch-toolbox:{r}"),
    },
    Distro {
        id: "debian",
        example: "13",
        is_release: |r| number(r) || !r.is_empty() && r.bytes().all(|b| b.is_ascii_lowercase()),
        image: |r| format!("docker.io/library/debian:{r}"),
    },
    Distro {
        id: "fedora",
        example: "42",
        is_release: number,
        image: |r| format!("registry.fedoraproject.org/fedora-toolbox:{r}"),
    },
    Distro {
        id: "rhel",
        example: "9.6",
        is_release: two_numbers,
        image: |r| {
            let major = r.split('.').next().unwrap_or(r);
            format!("registry.access.redhat.com/ubi{major}/toolbox:{r}")
        },
    },
    Distro {
        id: "ubuntu",
        example: "24.04",
        is_release: |r| two_numbers(r) && r.len() == 5,
        image: |r| format!("quay.io/toolbx/ubuntu-toolbox:{r}"),
    },
];

/// The release of a distribution that has none.
const ROLLING: &str = "latest";

fn number(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0')
}

fn two_numbers(text: &str) -> bool {
    let digits = |t: &str| !t.is_empty() && t.len() <= 3 && t.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.').is_some_and(|(major, minor)| number(major) && digits(minor))
}

/// The image for these words; `host` is the machine's own distribution and release, which stand for what is left out.
pub fn choose(distro: Option<&str>, release: Option<&str>, host: (&str, &str)) -> Result<Choice> {
    let id = distro.unwrap_or(host.0);
    let all: Vec<&str> = DISTROS.iter().map(|d| d.id).collect();
    let Some(found) = DISTROS.iter().find(|d| d.id == id) else {
        let error = match distro {
            Some(word) => Error::usage(format_args!("invalid --distro {word:?}: none of {}", all.join(", "))),
            None => Error::usage("no image given").cause(format_args!(
                "none is known for this machine's own distribution, {}",
                if id.is_empty() { "which /etc/os-release does not name" } else { id }
            )),
        };
        return Err(error.hint(
            "Name any image: `coracle toolbox create --image IMAGE`, or `--distro debian --release 13`.",
        ));
    };
    let release = match release {
        Some(word) if id == "fedora" => word.trim_start_matches(['f', 'F']),
        Some(word) => word,
        None if id == "arch" => ROLLING,
        None if id == host.0 && (found.is_release)(host.1) => host.1,
        None => {
            return Err(Error::usage(format_args!("no release of {id} given"))
                .hint(format_args!("For example: `--distro {id} --release {}`.", found.example)));
        }
    };
    if !(found.is_release)(release) {
        return Err(Error::usage(format_args!("invalid --release {release:?}: no release of {id}"))
            .hint(format_args!("For example: `--distro {id} --release {}`.", found.example)));
    }
    Ok(Choice { image: (found.image)(release), name: format!("{id}-toolbox-{release}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(distro: Option<&str>, release: Option<&str>) -> Result<String> {
        choose(distro, release, ("fedora", "41")).map(|c| format!("{} {}", c.name, c.image))
    }

    #[test]
    fn names_and_images_are_toolboxs() {
        let fedora = |r| format!("fedora-toolbox-{r} registry.fedoraproject.org/fedora-toolbox:{r}");
        assert_eq!(image(None, None).unwrap(), fedora(41));
        assert_eq!(image(None, Some("f42")).unwrap(), fedora(42));
        assert_eq!(
            image(Some("rhel"), Some("9.6")).unwrap(),
            "rhel-toolbox-9.6 registry.access.redhat.com/ubi9/toolbox:9.6"
        );
        assert_eq!(
            image(Some("arch"), None).unwrap(),
            "arch-toolbox-latest quay.io/toolbx/arch-toolbox:latest"
        );
        assert_eq!(
            image(Some("debian"), Some("trixie")).unwrap(),
            "debian-toolbox-trixie docker.io/library/debian:trixie"
        );
    }

    #[test]
    fn what_is_no_release_of_it() {
        for (distro, release) in [
            ("fedora", "rawhide"),
            ("fedora", "042"),
            ("ubuntu", "24"),
            ("ubuntu", "24.4"),
            ("rhel", "9"),
            ("arch", "2024"),
            ("debian", "../x"),
            ("alpine", "3"),
        ] {
            assert!(image(Some(distro), Some(release)).is_err(), "{distro} {release}");
        }
        assert!(image(Some("debian"), None).is_err(), "the host's release is Fedora's");
    }
}
