//! CDI's edits as a user's container can have them.
//!
//! Device nodes are bound, so owner, mode and numbers are the node's own. Groups are the host's: those that the user has are
//! kept, others cannot be had, and that is said. `netDevices` and `intelRdt` need root, and are refused.

use super::{Gifts, glibc};
use crate::engine::mounts::with_what_is_below;
use crate::engine::specgen::PreparedMount;
use crate::engine::view::View;
use crate::error::{Error, Result};
use crate::spec::cdi::{DeviceNode, Edits, Mount};
use rustix::fs::FileType;
use serde_json::{Map, Value, json};

/// What options of a mount mean to the OCI runtime where none are given.
const MOUNT_OPTIONS: [&str; 4] = ["ro", "nosuid", "nodev", "rbind"];

/// Adds `edits`, of the devices `names`, to the gifts.
pub fn apply(names: &str, edits: &[Edits], view: &View, gifts: &mut Gifts) -> Result<()> {
    let refused = |why: &str| {
        Err(Error::host(format_args!("cannot give the device {names}"))
            .cause(why)
            .hint("Ask the administrator for a CDI spec without it, or give the device nodes with `--device /dev/…`."))
    };
    let mut mounts: Vec<&Mount> = Vec::new();
    for edit in edits {
        if edit.intel_rdt.is_some() {
            return refused("its CDI spec asks for intelRdt, and only root may write to resctrl");
        }
        if !edit.net_devices.is_empty() {
            return refused(
                "its CDI spec asks for netDevices, and only root may move the host's network devices",
            );
        }
        edit.device_nodes.iter().try_for_each(|node| add_node(names, node, gifts))?;
        mounts.extend(&edit.mounts);
        for entry in &edit.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            gifts.env.retain(|(before, _)| before != name);
            gifts.env.push((name.to_owned(), value.to_owned()));
        }
    }
    add_hooks(edits, gifts);
    add_groups(edits, gifts);
    let (usable, left_out) = glibc::split(mounts, view);
    gifts.warnings.extend(left_out);
    for mount in usable {
        add_mount(names, mount, gifts)?;
    }
    Ok(())
}

fn add_node(names: &str, node: &DeviceNode, gifts: &mut Gifts) -> Result<()> {
    let source = node.host_path.as_deref().unwrap_or(&node.path);
    let is_device = rustix::fs::stat(source).is_ok_and(|st| {
        let kind = FileType::from_raw_mode(st.st_mode);
        matches!(kind, FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo)
    });
    if !is_device {
        return Err(Error::not_found(format_args!("cannot give the device {names}"))
            .cause(format_args!("its CDI spec names {source}, and there is no such device"))
            .hint("Load the driver, or have the spec made anew: it may be older than the driver."));
    }
    let access = node.permissions.clone().unwrap_or_else(|| "rw".to_owned());
    if !gifts.nodes.iter().any(|(_, destination, _)| *destination == node.path) {
        gifts.nodes.push((source.to_owned(), node.path.clone(), access));
    }
    Ok(())
}

fn add_mount(names: &str, mount: &Mount, gifts: &mut Gifts) -> Result<()> {
    let kind = match mount.r#type.as_deref() {
        Some("tmpfs") => "tmpfs",
        _ => "bind",
    };
    if kind == "bind" && rustix::fs::stat(mount.host_path.as_str()).is_err() {
        return Err(Error::not_found(format_args!("cannot give the device {names}"))
            .cause(format_args!("its CDI spec mounts {}, which is not there", mount.host_path))
            .hint("Have the spec made anew: it may be older than the driver."));
    }
    let mut options: Vec<String> = match mount.options.is_empty() {
        true => MOUNT_OPTIONS.map(str::to_owned).to_vec(),
        false => mount.options.clone(),
    };
    if kind == "bind" {
        with_what_is_below(&mut options);
    }
    let destination = mount.container_path.trim_end_matches('/').to_owned();
    if !gifts.mounts.iter().any(|before| before.destination == destination) {
        gifts.mounts.push(PreparedMount { kind, source: mount.host_path.clone(), destination, options });
    }
    Ok(())
}

fn add_hooks(edits: &[Edits], gifts: &mut Gifts) {
    let mut all: Map<String, Value> = Map::new();
    for hook in edits.iter().flat_map(|edit| &edit.hooks) {
        let mut value = json!({ "path": hook.path, "args": hook.args, "env": hook.env });
        if let Some(seconds) = hook.timeout {
            value["timeout"] = json!(seconds);
        }
        let list = all.entry(hook.hook_name.clone()).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(value);
        }
    }
    if !all.is_empty() {
        gifts.hooks = Value::Object(all);
    }
}

fn add_groups(edits: &[Edits], gifts: &mut Gifts) {
    let mine = rustix::process::getgroups().unwrap_or_default();
    let own = rustix::process::getegid().as_raw();
    let mut wanted: Vec<u32> = edits.iter().flat_map(|edit| edit.additional_gids.clone()).collect();
    wanted.sort_unstable();
    wanted.dedup();
    for gid in wanted.into_iter().filter(|gid| *gid != own) {
        if mine.iter().any(|group| group.as_raw() == gid) {
            gifts.keep_groups = true;
        } else {
            gifts.warnings.push(format!(
                "the device's CDI spec asks for the group {gid}, which you are not in: what only that group may use stays closed"
            ));
        }
    }
}
