//! `coracle inspect`: everything about containers, images and volumes, in podman's JSON.

use crate::cli::flags::select;
use crate::cli::format::{self, Format};
use crate::cli::{App, create, run, tree, ui};
use crate::engine;
use crate::engine::options::DeviceOption;
use crate::error::{Error, Kind, Result};
use crate::ondisk::container::{Container, State};
use crate::paths::Dirs;
use crate::store::Store;
use clap::{CommandFactory, FromArgMatches};
use serde_json::{Value, json};

/// Show everything about containers, images or volumes
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// The container that was created last
    #[arg(short, long)]
    pub latest: bool,
    /// Also how much the container has written
    #[arg(short, long)]
    pub size: bool,
    /// What the names are: all, container, image or volume
    #[arg(short, long, value_name = "TYPE", default_value = "all")]
    pub r#type: String,
    /// Names or ids
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let kind = match args.r#type.as_str() {
        "all" => Object::Any,
        "container" => Object::Container,
        "image" => Object::Image,
        "volume" => Object::Volume,
        "network" | "pod" => {
            return Err(crate::cli::parse::unsupported(format_args!("--type {}", args.r#type)));
        }
        other => {
            return Err(crate::cli::parse::invalid(
                "--type",
                other,
                "one of all, container, image, volume",
                "",
            ));
        }
    };
    let mut names = args.names.clone();
    if args.latest {
        names.insert(0, select::latest(&dirs)?.id.as_str().to_owned());
    }
    show(&dirs, kind, &names, args.format.as_deref(), args.size)
}

/// What a name may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object {
    Any,
    Container,
    Image,
    Volume,
}

/// Prints what was found as one array (or the template's lines), then the errors. Nothing found prints `[]`.
pub fn show(dirs: &Dirs, kind: Object, names: &[String], text: Option<&str>, size: bool) -> Result<u8> {
    if names.is_empty() {
        return Err(Error::usage("no name given").hint("Name one or more containers, images or volumes."));
    }
    let mut found = Vec::new();
    let mut errors = Vec::new();
    for name in names {
        match one(dirs, kind, name, size) {
            Ok(value) => found.push(value),
            Err(e) => errors.push(e),
        }
    }
    match Format::parse(text) {
        Format::Table | Format::Json => ui::out(&format::json(&Value::Array(found))?)?,
        Format::Template(text) => ui::out(&format::template(&text, &found)?)?,
        Format::TableTemplate(text) => ui::out(&format::table_template(&text, &found, &[], true)?)?,
    }
    let mut code = 0;
    for error in &errors {
        code = ui::error(error);
    }
    Ok(code)
}

fn one(dirs: &Dirs, kind: Object, name: &str, size: bool) -> Result<Value> {
    let missing = |e: &Error| e.kind() == Kind::NotFound;
    if matches!(kind, Object::Any | Object::Container) {
        match engine::find(dirs, name) {
            Ok(c) => return container(dirs, &c, size),
            Err(e) if missing(&e) && kind == Object::Any => {}
            Err(e) if missing(&e) => {
                return Err(Error::not_found(format_args!("no such container {name}"))
                    .hint("See what there is with `coracle ps -a`."));
            }
            Err(e) => return Err(e),
        }
    }
    if matches!(kind, Object::Any | Object::Image) {
        let store = Store::open(dirs)?;
        match store.find_image(name)? {
            Some(image) => return crate::cli::image::describe(&store, &image),
            None if kind == Object::Any => {}
            None => {
                return Err(Error::not_found(format_args!("{name}: image not known"))
                    .hint("List images with `coracle images`."));
            }
        }
    }
    match crate::store::volume::get(dirs, name) {
        Ok(Some(volume)) => return Ok(crate::cli::volume::describe(dirs, &volume)),
        Err(e) if kind == Object::Volume && !missing(&e) => return Err(e),
        _ => {}
    }
    Err(match kind {
        Object::Volume => Error::not_found(format_args!("no such volume {name}"))
            .hint("List volumes with `coracle volume ls`."),
        _ => Error::not_found(format_args!("no such object: {name:?}"))
            .hint("See what there is with `coracle ps -a`, `coracle images` and `coracle volume ls`."),
    })
}

fn container(dirs: &Dirs, c: &Container, size: bool) -> Result<Value> {
    let state: State = engine::lookup::state(dirs, c)?;
    let config = engine::inspect::runtime_config(dirs, c);
    let image = c.image_id.as_ref().and_then(|id| Store::open(dirs).ok()?.find_image(id).ok()?);
    let facts = image.map_or_else(Default::default, |image| engine::inspect::ImageFacts {
        digest: image.record.manifest.prefixed(),
        entrypoint: image.config.entrypoint,
    });
    let mut value = engine::inspect::container(dirs, c, &state, &config, &facts);
    add_asked_for(&mut value, c);
    if let Some(all) = value.as_object_mut().filter(|_| size) {
        let written = engine::prune::written(dirs, c);
        all.insert("SizeRw".into(), json!(written));
        all.insert("SizeRootFs".into(), json!(written));
    }
    Ok(value)
}

/// What only the command line says: it is in the record as it was typed, and is read again here.
fn add_asked_for(value: &mut Value, c: &Container) {
    let Some(flags) = typed_flags(&c.create_command) else { return };
    let Some(host) = value.pointer_mut("/HostConfig").and_then(Value::as_object_mut) else { return };
    let upper = |list: &[String]| {
        list.iter().filter_map(|cap| crate::cli::parse::capability::parse(cap).ok()).collect::<Vec<_>>()
    };
    let devices: Vec<Value> = flags
        .mounts
        .devices
        .to_options()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|device| match device {
            DeviceOption::Node { source, destination, access } => Some(json!({
                "PathOnHost": source, "PathInContainer": destination, "CgroupPermissions": access,
            })),
            DeviceOption::Cdi(_) | DeviceOption::Gpu(_) => None,
        })
        .collect();
    for (key, value) in [
        ("CapAdd", json!(upper(&flags.security.cap_add))),
        ("CapDrop", json!(upper(&flags.security.cap_drop))),
        ("Devices", json!(devices)),
        ("Dns", json!(flags.network.dns)),
        ("DnsOptions", json!(flags.network.dns_option)),
        ("DnsSearch", json!(flags.network.dns_search)),
        ("ExtraHosts", json!(flags.network.add_host)),
        ("GroupAdd", json!(flags.process.group_add)),
        ("SecurityOpt", json!(flags.security.security_opt)),
        ("Privileged", json!(flags.security.privileged)),
        ("PublishAllPorts", json!(flags.network.publish_all)),
        ("Init", json!(flags.process.init)),
        ("UsernsMode", json!(flags.security.userns.clone().unwrap_or_default())),
        ("ContainerIDFile", json!(flags.container.cidfile.clone().unwrap_or_default())),
    ] {
        host.insert(key.into(), value);
    }
}

fn typed_flags(argv: &[String]) -> Option<crate::cli::flags::create::CreateFlags> {
    let at = argv.iter().position(|word| word == "run" || word == "create")?;
    let rest = argv.get(at + 1..)?;
    let parse = |command: clap::Command| {
        let words = tree::end_flags(&command, rest);
        tree::relax(command).try_get_matches_from(words).ok()
    };
    if argv.get(at)? == "run" {
        return run::Args::from_arg_matches(&parse(run::Args::command())?).ok().map(|args| args.create);
    }
    create::Args::from_arg_matches(&parse(create::Args::command())?).ok().map(|args| args.create)
}
