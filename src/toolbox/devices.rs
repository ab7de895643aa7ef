//! Devices that a box is given (`--device`, `--gpus`), with the files, variables and hooks that come with them.
//!
//! They are looked up anew at each start: a driver that was updated has other files, and one that is gone is a warning, never
//! a box that does not start. When the box is made, what cannot be given is an error.

use crate::engine::cdi::{self, Gifts};
use crate::engine::options::DeviceOption;
use crate::engine::view::{self, View};
use crate::error::{Error, Result};
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Device, Toolbox};
use crate::paths::Dirs;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// As they are written down.
pub fn record(options: &[DeviceOption]) -> Vec<Device> {
    let one = |option: &DeviceOption| match option.clone() {
        DeviceOption::Node { source, destination, access } => Device::Node { source, destination, access },
        DeviceOption::Cdi(name) => Device::Cdi(name),
        DeviceOption::Gpu(name) => Device::Gpu(name),
    };
    options.iter().map(one).collect()
}

/// As they were asked for.
pub fn options(record: &[Device]) -> Vec<DeviceOption> {
    let one = |device: &Device| match device.clone() {
        Device::Node { source, destination, access } => DeviceOption::Node { source, destination, access },
        Device::Cdi(name) => DeviceOption::Cdi(name),
        Device::Gpu(name) => DeviceOption::Gpu(name),
    };
    record.iter().map(one).collect()
}

/// Refuses what cannot be given now. `of_host`: the box's /dev is the host's, where no other name can be made.
pub fn check(dirs: &Dirs, asked: &[DeviceOption], of_host: bool) -> Result<()> {
    cdi::check_nodes(asked)?;
    let gifts = cdi::resolve(dirs, asked, &View::of_files(BTreeMap::new()))?;
    for (source, destination, _) in &gifts.nodes {
        if of_host && destination.starts_with("/dev/") && destination != source {
            return Err(Error::usage(format_args!("cannot give the device {source} as {destination}"))
                .cause("a box has the host's /dev, where nothing can be added")
                .hint(format_args!(
                    "Leave out the other name, or make the box with --init or --isolate: `--device {source}`."
                )));
        }
    }
    Ok(())
}

/// What comes with the devices now, and what the user should know.
pub fn now(dirs: &Dirs, c: &Container, toolbox: &Toolbox) -> (Gifts, Vec<String>) {
    if toolbox.devices.is_empty() {
        return (Gifts::default(), Vec::new());
    }
    let view = view::of_image(dirs, c).ok().flatten().unwrap_or_else(|| View::of_files(BTreeMap::new()));
    let (mut all, mut said) = (Gifts::default(), Vec::new());
    for option in options(&toolbox.devices) {
        match cdi::resolve(dirs, std::slice::from_ref(&option), &view) {
            Ok(gifts) => add(&mut all, gifts),
            Err(e) => said.push(format!("{}: {}; box {} starts without it", e.what(), reason(&e), c.name)),
        }
    }
    all.nodes.retain(|(source, _, _)| {
        let there = rustix::fs::stat(source.as_str()).is_ok();
        if !there {
            said.push(format!("{source} is gone from the host: box {} starts without it", c.name));
        }
        there
    });
    said.append(&mut all.warnings);
    (all, said)
}

fn reason(error: &Error) -> String {
    error.causes().last().cloned().unwrap_or_default()
}

fn add(all: &mut Gifts, more: Gifts) {
    all.env.extend(more.env);
    all.nodes.extend(more.nodes);
    all.mounts.extend(more.mounts);
    all.keep_groups |= more.keep_groups;
    all.warnings.extend(more.warnings);
    let Value::Object(hooks) = more.hooks else { return };
    if all.hooks.is_null() {
        all.hooks = json!({});
    }
    for (name, mut list) in hooks {
        match (all.hooks.get_mut(&name).and_then(Value::as_array_mut), list.as_array_mut()) {
            (Some(before), Some(list)) => before.append(list),
            _ => all.hooks[name] = list,
        }
    }
}

/// Puts them into config.json, in the place of those of the last start.
pub fn replace(config: &mut Value, toolbox: &mut Toolbox, gifts: &Gifts) {
    if toolbox.devices.is_empty() {
        return;
    }
    let destination = |mount: &Value| mount["destination"].as_str().unwrap_or("").to_owned();
    let mut given = Vec::new();
    if let Some(mounts) = config.get_mut("mounts").and_then(Value::as_array_mut) {
        mounts.retain(|mount| !toolbox.given.contains(&destination(mount)));
        let of_host = mounts.iter().any(|mount| destination(mount) == "/dev" && mount["type"] == "bind");
        let nodes = gifts.nodes.iter().filter(|(_, place, _)| !(of_host && place.starts_with("/dev/")));
        let nodes = nodes.map(|(source, place, access)| {
            let mut options = vec!["bind", "nosuid", "noexec"];
            options.extend((!access.contains('w')).then_some("ro"));
            json!({ "destination": place, "type": "bind", "source": source, "options": options })
        });
        let files = gifts.mounts.iter().map(|m| {
            // Not `rw`, as in `specgen::mounts`.
            let options: Vec<&String> = m.options.iter().filter(|o| *o != "rw").collect();
            json!({ "destination": m.destination, "type": m.kind, "source": m.source, "options": options })
        });
        for mount in nodes.chain(files) {
            let place = destination(&mount);
            if !mounts.iter().any(|other| destination(other) == place) {
                given.push(place);
                mounts.push(mount);
            }
        }
        mounts.sort_by_key(|mount| destination(mount).trim_end_matches('/').matches('/').count());
    }
    if let Some(config) = config.as_object_mut() {
        config.remove("hooks");
        if !gifts.hooks.is_null() {
            config.insert("hooks".to_owned(), gifts.hooks.clone());
        }
    }
    if gifts.keep_groups {
        config["annotations"][KEEP_GROUPS] = json!("1");
    }
    toolbox.given = given;
    toolbox.device_env.clone_from(&gifts.env);
}
