//! The site's rules (`config::site`) at work: what is put into every container, and what is refused.
//!
//! - `apply` changes what was asked for: the site's mounts, variables and network, under what the user has said, or above it
//!   where they are enforced. Whoever makes `CreateOptions` calls it: `run`, `create`, `fanout`, `bundle`, boxes.
//! - `check_source` is asked of each container and bundle, `check_pull` before a name is fetched, `check_load` and `check_name`
//!   before an archive or a new name could call an image what it is not. Where the list is not enforced, an image that is not on it
//!   is a warning.
//!
//! **Where the list is enforced**, an image is what it was pulled as, and not what it is called here: `RefRecord::origin` is
//! compared, in the user's own store. Only /etc's registries.conf says then where a registry is. Images of the site's own
//! stores are called what the administrator calls them, and names in `localhost/` say of themselves that they were given here.
//!
//! A pattern is a name in which `*` stands for anything. It is compared with the full name, with and without tag and
//! digest; with the real path of a file or a directory, whatever links lead there; and with `host:`, or `oci:` and its like
//! with their real path.

use super::options::{CreateOptions, MountKind, MountOption, Source};
use crate::config::pattern;
use crate::config::site::{FILE, Key, Mount, Network, Site};
use crate::error::{Context, Error, Result};
use crate::ondisk::container::{Container, NetworkMode, Rootfs};
use crate::paths::Dirs;
use crate::store::reference::Reference;
use crate::store::{Image, Store};
use crate::sys::CallContext;
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

const TRANSPORTS: [&str; 3] = ["oci:", "oci-archive:", "docker-archive:"];

/// Puts the site's mounts, variables and network where nothing else was asked for.
pub fn apply(options: &mut CreateOptions) -> Result<()> {
    let site = Site::load()?;
    network(&site, options)?;
    let enforced = site.enforces(Key::Mounts);
    for mount in &site.mounts {
        add_mount(mount, enforced, &mut options.mounts)?;
    }
    if enforced {
        options.extra.last_mounts = site.mounts.iter().map(|mount| mount.target.clone()).collect();
    }
    env(&site, options)
}

fn network(site: &Site, options: &mut CreateOptions) -> Result<()> {
    let Some(network) = site.network else { return Ok(()) };
    let mode = match network {
        Network::Host => NetworkMode::Host,
        Network::None => NetworkMode::None,
        Network::Slirp4netns => NetworkMode::Slirp4netns { options: Vec::new() },
    };
    let same = |asked: &NetworkMode| std::mem::discriminant(asked) == std::mem::discriminant(&mode);
    match &options.network.mode {
        Some(asked) if site.enforces(Key::Network) && !same(asked) => {
            let name = format!("{network:?}").to_lowercase();
            Err(against("cannot give the container another network", &format!("its network is {name}"))
                .hint(format_args!("Use --network {name}, or leave --network out.")))
        }
        Some(_) => Ok(()),
        // The host's own programs have none unless asked for.
        None if options.source == Source::Host && !site.enforces(Key::Network) => Ok(()),
        None => {
            options.network.mode = Some(mode);
            Ok(())
        }
    }
}

fn add_mount(mount: &Mount, enforced: bool, mounts: &mut Vec<MountOption>) -> Result<()> {
    let bind = MountKind::Bind(mount.source.clone());
    if let Err(e) = rustix::fs::stat(mount.source.as_str()) {
        if mount.optional {
            return Ok(());
        }
        return Err(e)
            .call(|| format!("stat({:?})", mount.source))
            .what(|| format!("cannot mount {} at {}, as {FILE} says", mount.source, mount.target))
            .map_err(|e| e.hint(format_args!(
                "Ask the administrator to write `optional = true` below that mount, for machines that do without."
            )));
    }
    let hides = |m: &&MountOption| {
        let path = m.destination.trim_end_matches('/');
        path == mount.target || enforced && std::path::Path::new(path).starts_with(&mount.target)
    };
    if let Some(other) = mounts.iter().find(|m| hides(m) && !shows_the_same(m, mount)) {
        if !enforced {
            return Ok(());
        }
        return Err(against(
            &format!("cannot mount something at {}", other.destination),
            &format!("{} of the host is mounted at {}", mount.source, mount.target),
        )
        .hint("Choose another place in the container."));
    }
    mounts.retain(|m| m.destination.trim_end_matches('/') != mount.target);
    let mut options = mount.options.clone();
    if !options.iter().any(|o| o.ends_with("private") || o.ends_with("slave")) {
        options.insert(0, "rprivate".to_owned());
    }
    mounts.push(MountOption { kind: bind, destination: mount.target.clone(), options, copy_up: false });
    Ok(())
}

/// A mount of the same files at the same place, no more writable.
fn shows_the_same(m: &MountOption, site: &Mount) -> bool {
    let MountKind::Bind(source) = &m.kind else { return false };
    let below = m.destination.trim_end_matches('/').strip_prefix(&site.target);
    let restricts =
        ["ro", "nosuid", "nodev", "noexec"].iter().filter(|o| site.options.iter().any(|s| s == *o));
    below.is_some_and(|below| *source == format!("{}{below}", site.source))
        && restricts.into_iter().all(|option| m.options.iter().any(|o| o == option))
}

fn env(site: &Site, options: &mut CreateOptions) -> Result<()> {
    let process = &mut options.process;
    let enforced = site.enforces(Key::Env);
    for (name, value) in &site.env {
        let said = process.env.iter().rev().find(|(n, _)| n == name);
        let unset = process.unset_env_all || process.unset_env.contains(name);
        if enforced && (unset || said.is_some_and(|(_, said)| said != value)) {
            return Err(another(name, value));
        }
        if !unset && said.is_none() {
            process.env.insert(0, (name.clone(), value.clone()));
        }
    }
    Ok(())
}

/// Before a process joins a container with these variables.
pub fn check_env(env: &[(String, String)]) -> Result<()> {
    let site = Site::load()?;
    let is_other = |(name, value): &&(String, String)| site.env.get(name).is_some_and(|own| own != value);
    match env.iter().find(is_other).filter(|_| site.enforces(Key::Env)) {
        Some((name, _)) => Err(another(name, site.env.get(name).map_or("", String::as_str))),
        None => Ok(()),
    }
}

fn another(name: &str, value: &str) -> Error {
    against(&format!("cannot give the container another {name}"), &format!("it is {value:?}"))
        .hint(format_args!("Leave out the flag that sets {name} or takes it away."))
}

/// Whether `run` and `create` are as with `--hpc`; `asked` is the flag, `other` a flag that contradicts it.
pub fn hpc(asked: Option<bool>, other: Option<&str>) -> Result<bool> {
    if let (Some(true), Some(flag)) = (asked, other) {
        return Err(Error::usage(format_args!("--hpc cannot be combined with {flag}"))
            .cause("with --hpc you are yourself, with your groups")
            .hint(format_args!("Leave out --hpc or {flag}.")));
    }
    let site = Site::load()?;
    if let (true, Some(wanted)) = (site.enforces(Key::Hpc), site.hpc) {
        let (flag, hint) = match (asked, wanted, other) {
            (Some(asked), ..) if asked != wanted => (format!("--hpc={asked}"), "--hpc".to_owned()),
            (None, true, Some(flag)) => (flag.to_owned(), flag.to_owned()),
            _ => return Ok(wanted),
        };
        return Err(against(&format!("cannot use {flag}"), &format!("containers have --hpc={wanted}"))
            .hint(format_args!("Leave out {hint}.")));
    }
    Ok(asked.unwrap_or_else(|| site.hpc.unwrap_or(false) && other.is_none()))
}

/// Before it is fetched: a full name, or a path with its transport.
pub fn check_pull(name: &str) -> Result<()> {
    let Some((site, patterns)) = enforced()? else { return Ok(()) };
    let name = match TRANSPORTS.iter().find_map(|t| Some((t, name.strip_prefix(t)?))) {
        Some((transport, path)) => format!("{transport}{}", real_path(path)),
        None => name.to_owned(),
    };
    if matches_any(&patterns, &name) { Ok(()) } else { Err(not_on_the_list(&site, &name)) }
}

/// Whether only images of a list may be used.
pub fn enforces_images() -> Result<bool> {
    Ok(enforced()?.is_some())
}

/// Before a pull: without a check of certificates anybody can be the registry of the list.
pub fn check_tls(verify: Option<bool>) -> Result<()> {
    if verify != Some(false) || !enforces_images()? {
        return Ok(());
    }
    Err(against("cannot pull without a check of certificates", "only images of its list may be used").hint(
        "Leave out --tls-verify=false; /etc/containers/registries.conf says which registries are insecure.",
    ))
}

/// Before a container that is there is started again: it may be older than the list, or from another machine.
pub fn check_container(dirs: &Dirs, container: &Container) -> Result<()> {
    let Some((site, _)) = enforced()? else { return Ok(()) };
    let source = match &container.rootfs {
        Rootfs::Host => Source::Host,
        Rootfs::Directory { path } => Source::Rootfs(path.clone()),
        Rootfs::Squash { file, .. } => Source::File { path: file.clone(), overlay: None },
        Rootfs::Layers { .. } => Source::Image {
            name: container.image.clone(),
            pull: super::options::PullPolicy::Never,
            platform: None,
        },
    };
    let image = match (&source, &container.image_id) {
        (Source::Image { .. }, Some(id)) => Store::open(dirs)?.find_image(id)?,
        _ => None,
    };
    if image.is_none() && matches!(source, Source::Image { .. }) && !is_transport(&container.image) {
        return Err(not_on_the_list(&site, &container.image)
            .cause("its image is not here any more, so where it came from is not known")
            .hint(format_args!("Get it again: `coracle pull {}`.", container.image)));
    }
    check_source(&source, image.as_ref()).map(drop)
}

/// Before an image gets another name.
pub fn check_name(image: &Image, name: &str) -> Result<()> {
    let Some((_, patterns)) = enforced()? else { return Ok(()) };
    let on_list = |name: &String| matches_any(&patterns, name);
    let full = Reference::parse(name)?.in_domain("localhost").or_latest().to_string();
    if names(&Site::load()?, image).iter().any(on_list) || !on_list(&full) {
        return Ok(());
    }
    Err(against(
        &format!("cannot name the image {full}"),
        "the names of images say what may be used, and this image has none of them",
    )
    .hint("Choose a name that is not on the list: `coracle info` shows it."))
}

/// Before an archive is loaded, whose names are its maker's.
pub fn check_load(base: &str) -> Result<()> {
    match enforced()? {
        None => Ok(()),
        Some(_) => Err(against(
            &format!("cannot load {base}"),
            "only images of its list may be used, and an archive gives itself any name",
        )
        .hint("Pull an image of the list: `coracle info` shows it.")),
    }
}

/// Before a container or a bundle is made of it. Returns a warning.
pub fn check_source(source: &Source, image: Option<&Image>) -> Result<Option<String>> {
    let site = Site::load()?;
    let Some(patterns) = &site.images else { return Ok(None) };
    let names = match source {
        Source::Host => vec!["host:".to_owned()],
        Source::Rootfs(path) | Source::File { path, .. } => vec![real_path(path)],
        Source::Image { name, .. } => {
            let mut names = image.map(|image| names(&site, image)).unwrap_or_default();
            if let Some((transport, path)) = TRANSPORTS.iter().find_map(|t| Some((t, name.strip_prefix(t)?)))
            {
                names.insert(0, format!("{transport}{}", real_path(path)));
            }
            if names.is_empty() {
                // What it is called here is nobody's word.
                let known = image.filter(|_| site.enforces(Key::Images));
                names.push(known.map_or_else(|| name.clone(), |image| image.id.to_string()));
            }
            names
        }
    };
    if names.iter().any(|name| matches_any(patterns, name)) {
        return Ok(None);
    }
    let name = names.first().map(String::as_str).unwrap_or_default();
    if site.enforces(Key::Images) {
        return Err(match image.filter(|image| name == image.id.as_str()) {
            Some(image) => no_origin(&site, image),
            None => not_on_the_list(&site, name),
        });
    }
    Ok(Some(format!("{name} is not one of the images that {FILE} recommends: {}", patterns.join(", "))))
}

/// What is compared of an image.
fn names(site: &Site, image: &Image) -> Vec<String> {
    let of_site = image
        .store
        .as_ref()
        .is_some_and(|store| site.stores.iter().any(|own| store.as_path() == std::path::Path::new(own)));
    if of_site || !site.enforces(Key::Images) {
        return image.names.clone();
    }
    let here = image.names.iter().filter(|name| name.starts_with("localhost/"));
    image.origins.iter().chain(here).cloned().collect()
}

fn no_origin(site: &Site, image: &Image) -> Error {
    let name = image.names.first().map_or(image.id.as_str(), String::as_str);
    not_on_the_list(site, name)
        .cause("it is not known where this image came from: it was not pulled, or by an older coracle, or has lost its name")
        .hint(format_args!("Pull an image of the list; `coracle info` shows it."))
}

fn is_transport(name: &str) -> bool {
    TRANSPORTS.iter().any(|transport| name.starts_with(transport))
}

/// The list, where it is enforced.
fn enforced() -> Result<Option<(Site, Vec<String>)>> {
    let site = Site::load()?;
    let patterns = site.images.clone().filter(|_| site.enforces(Key::Images));
    Ok(patterns.map(|patterns| (site, patterns)))
}

fn not_on_the_list(site: &Site, name: &str) -> Error {
    let list = match site.images.as_deref() {
        None | Some([]) => "no image".to_owned(),
        Some(patterns) => patterns.join(", "),
    };
    against(&format!("cannot use {name}"), &format!("only these may be used: {list}"))
        .hint("Choose one of them, or ask the administrator to add it.")
}

fn against(what: &str, rule: &str) -> Error {
    Error::new(crate::error::Kind::Denied, what).cause(format_args!("{FILE} enforces it: {rule}"))
}

/// Where a path really leads; itself where it leads nowhere. A tag after it (`oci:DIR:TAG`) stays.
fn real_path(path: &str) -> String {
    let open = |path: &str| {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
        rustix::fs::readlink(link, Vec::new()).ok()?.into_string().ok()
    };
    if let Some(real) = open(path) {
        return real;
    }
    match path.split_once(':').and_then(|(path, tag)| Some((open(path)?, tag))) {
        Some((real, tag)) => format!("{real}:{tag}"),
        None => path.to_owned(),
    }
}

/// Whole names, and names without tag and digest.
fn matches_any(patterns: &[String], name: &str) -> bool {
    let bare = Reference::parse(name).ok().filter(|r| r.domain.is_some()).map(|r| r.repository());
    let without_tag = TRANSPORTS.iter().any(|t| name.starts_with(t));
    let before_tag = name.rsplit_once(':').map(|(before, _)| before).filter(|_| without_tag);
    let names = [Some(name), bare.as_deref(), before_tag];
    patterns.iter().any(|wanted| names.into_iter().flatten().any(|name| pattern::matches(wanted, name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_names() {
        let matches = |pattern: &str, name: &str| matches_any(&[pattern.to_owned()], name);
        for (pattern, name) in [
            ("docker.io/library/*", "docker.io/library/debian:12"),
            ("docker.io/library/debian", "docker.io/library/debian:12"),
            ("docker.io/library/debian:12", "docker.io/library/debian:12"),
            ("127.0.0.1:5000/*", "127.0.0.1:5000/a/b:1"),
            ("/apps/*.sqsh", "/apps/x/y.sqsh"),
            ("oci:/apps/*", "oci:/apps/bb:latest"),
            ("oci:/apps/bb", "oci:/apps/bb:latest"),
            ("*", ""),
            ("*a*b", "aabab"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("docker.io/library/debian:12", "docker.io/library/debian:13"),
            ("docker.io/library/deb", "docker.io/library/debian:12"),
            ("library/*", "docker.io/library/debian:12"),
            ("/apps/*.sqsh", "/home/apps/x.sqsh"),
            ("docker.io/*", "evil.io/docker.io/x:1"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
