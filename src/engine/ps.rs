//! Choosing containers by podman's filters.
//!
//! Filters of one key are alternatives, except labels, which must all hold; different keys must all hold.

use crate::id::ContainerId;
use crate::ondisk::container::{Container, NetworkMode, Restart, State, Status};
use jiff::Timestamp;
use regex::Regex;

/// One `--filter`, parsed.
#[derive(Debug, Clone)]
pub enum Filter {
    /// Prefix of an id.
    Id(String),
    Name(Regex),
    /// Key, and value when one was given.
    Label(String, Option<String>),
    NotLabel(String, Option<String>),
    Exited(i32),
    Status(Status),
    /// Image name, with or without a tag, or a prefix of its id.
    Ancestor(String),
    /// Created before this time.
    Before(Timestamp),
    /// Created after this time.
    Since(Timestamp),
    /// Created before this time (`until`).
    Until(Timestamp),
    /// Volume name or path in the container.
    Volume(String),
    Network(String),
    /// `healthy`, …: coracle runs no health checks, so only `none` holds.
    Health(String),
    Restarts(bool),
    /// podman's word for it: `no`, `always`, `unless-stopped`, `on-failure`.
    RestartPolicy(String),
    /// Whether its restart policy is to bring it up after a reboot.
    StartsOnBoot(bool),
}

impl Filter {
    fn holds(&self, c: &Container, s: &State) -> bool {
        let label = |key: &str, value: &Option<String>| {
            c.labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|want| want == have))
        };
        let created = || c.created.parse::<Timestamp>().ok();
        match self {
            Self::Id(prefix) => c.id.as_str().starts_with(prefix.as_str()),
            Self::Name(regex) => regex.is_match(c.name.as_str()),
            Self::Label(key, value) => label(key, value),
            Self::NotLabel(key, value) => !label(key, value),
            Self::Exited(code) => s.status == Status::Exited && s.exit_code == Some(*code),
            Self::Status(status) => s.status == *status,
            Self::Ancestor(image) => is_image(c, image),
            Self::Before(time) | Self::Until(time) => created().is_some_and(|t| t < *time),
            Self::Since(time) => created().is_some_and(|t| t > *time),
            Self::Volume(wanted) => c
                .mounts
                .iter()
                .any(|m| m.name.as_ref() == Some(wanted) || m.destination == *wanted || m.source == *wanted),
            Self::Network(wanted) => network_name(&c.network.mode) == wanted,
            Self::Health(wanted) => wanted == "none",
            Self::Restarts(wanted) => (s.restarts > 0) == *wanted,
            Self::RestartPolicy(wanted) => policy_name(&c.restart) == wanted,
            Self::StartsOnBoot(wanted) => starts_on_boot(c, s) == *wanted,
        }
    }
}

/// podman's name of a restart policy.
pub fn policy_name(policy: &Restart) -> &'static str {
    match policy {
        Restart::No => "no",
        Restart::Always => "always",
        Restart::UnlessStopped => "unless-stopped",
        Restart::OnFailure { .. } => "on-failure",
    }
}

/// `unless-stopped` remembers over a reboot that somebody stopped it; a container that never ran was not asked for.
fn starts_on_boot(c: &Container, s: &State) -> bool {
    match c.restart {
        Restart::Always => true,
        Restart::UnlessStopped => !s.stop_requested && s.status != Status::Created,
        Restart::No | Restart::OnFailure { .. } => false,
    }
}

/// Whether a container is chosen by all the filters.
pub fn matches(filters: &[Filter], c: &Container, s: &State) -> bool {
    filters.iter().all(|filter| match filter {
        Filter::Label(..) | Filter::NotLabel(..) => filter.holds(c, s),
        one => {
            let same_key = |other: &&Filter| std::mem::discriminant(*other) == std::mem::discriminant(one);
            filters.iter().filter(same_key).any(|f| f.holds(c, s))
        }
    })
}

/// podman's name of a network mode.
pub fn network_name(mode: &NetworkMode) -> &'static str {
    match mode {
        NetworkMode::None => "none",
        NetworkMode::Host => "host",
        NetworkMode::Slirp4netns { .. } => "slirp4netns",
        NetworkMode::Pasta { .. } => "pasta",
    }
}

/// Seconds a container has been up, or since it ended.
pub fn seconds_since(time: Option<&str>, now: Timestamp) -> Option<jiff::SignedDuration> {
    Some(now.duration_since(time?.parse().ok()?))
}

/// Whether `wanted` names the image that `c` was made from.
fn is_image(c: &Container, wanted: &str) -> bool {
    let id_prefix = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    if id_prefix.len() >= 3 && c.image_id.as_ref().is_some_and(|id| id.starts_with(id_prefix)) {
        return true;
    }
    let untagged = |name: &str| {
        let slash = name.rfind('/').map_or(0, |at| at + 1);
        match name.get(slash..).and_then(|rest| rest.find([':', '@'])) {
            Some(at) => name.get(..slash + at).unwrap_or(name).to_owned(),
            None => name.to_owned(),
        }
    };
    let full = if untagged(wanted) == wanted { untagged(&c.image) } else { c.image.clone() };
    full == wanted || full.ends_with(&format!("/{wanted}"))
}

/// The container whose creation `before=` or `since=` names, among those listed.
pub fn created_at(all: &[(Container, State)], name: &str) -> Option<Timestamp> {
    let is_named = |id: &ContainerId| id.as_str().starts_with(name);
    let by_name = all.iter().find(|(c, _)| c.name.as_str() == name);
    let found = by_name.or_else(|| all.iter().find(|(c, _)| !name.is_empty() && is_named(&c.id)));
    found.and_then(|(c, _)| c.created.parse().ok())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A container's record for tests of what is shown of it.
    pub fn sample(name: &str, image: &str) -> (Container, State) {
        let json = serde_json::json!({
            "version": 1, "id": "e3bc67a7ac090636990d27d962bd2198888cdff6cb73992764075e0d2dd7d51a", "name": name,
            "created": "2026-11-23T15:08:42.744786440Z", "image": image,
            "image_id": "8ddc3fb46a342cf75f627208abfc85af5d13eeb81e0e78572c2751973ab43f97",
            "rootfs": {"kind": "layers", "driver": "overlay", "layers": ["a"], "read_only": false},
            "command": ["/bin/sleep", "100"], "labels": {"k": "v"}, "annotations": {},
            "network": {"mode": {"mode": "slirp4netns", "options": []}, "ports": [
                {"host_ip": "", "host_port": 18080, "container_port": 80, "protocol": "tcp"}]},
            "tty": false, "interactive": false, "auto_remove": false, "restart": {"policy": "no"}, "stop_signal": 15,
            "stop_timeout": 10, "log": {"driver": "k8s-file", "max_size": null, "path": null}, "runtime": null,
            "needs_cgroup": false, "cgroups": "enabled", "volumes": [{"name": "vol1", "anonymous": false}],
            "mounts": [{"kind": "volume", "name": "vol1", "source": "/s/vol1/_data", "destination": "/data",
                        "options": ["nosuid", "nodev", "rbind", "rprivate"]}],
            "hostname": "e3bc67a7ac09", "machine_id": "", "create_command": ["coracle", "create"],
            "exposed_ports": ["80/tcp"]
        });
        (serde_json::from_value(json).unwrap(), State::created())
    }

    #[test]
    fn images_are_found_by_any_of_their_names() {
        let (c, _) = sample("c1", "docker.io/library/debian:13");
        for wanted in [
            "debian",
            "debian:13",
            "docker.io/library/debian",
            "library/debian:13",
            "8ddc3f",
            "sha256:8ddc3fb46a",
        ] {
            assert!(is_image(&c, wanted), "{wanted}");
        }
        for wanted in ["ebian", "debian:12", "8d", ""] {
            assert!(!is_image(&c, wanted), "{wanted}");
        }
    }

    #[test]
    fn one_key_is_or_and_labels_are_and() {
        let (c, s) = sample("c1", "i");
        let label = |k: &str, v: Option<&str>| Filter::Label(k.into(), v.map(Into::into));
        assert!(matches(&[Filter::Status(Status::Running), Filter::Status(Status::Created)], &c, &s));
        assert!(!matches(
            &[Filter::Status(Status::Created), Filter::Name(Regex::new("^x").unwrap())],
            &c,
            &s
        ));
        assert!(matches(&[label("k", None), label("k", Some("v"))], &c, &s));
        assert!(!matches(&[label("k", Some("v")), label("z", None)], &c, &s));
        assert!(matches(&[Filter::NotLabel("z".into(), None), Filter::Volume("/data".into())], &c, &s));
    }
}
