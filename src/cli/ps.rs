//! `coracle ps`: the containers.

use crate::cli::format::{self, Format};
use crate::cli::parse::time;
use crate::cli::{App, filter, parse, table, ui};
use crate::engine;
use crate::error::Result;
use crate::ondisk::container::{Container, PortMapping, State, Status};
use crate::paths::Dirs;
use crate::userns;
use jiff::Timestamp;
use serde_json::{Value, json};

/// List containers
///
/// Only running ones, unless --all is given. Filters of one key are alternatives (labels must all hold), different keys
/// must all hold: id, name (a regular expression), label, exited, status, ancestor, before, since, until, volume, network.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Also containers that are not running
    #[arg(short, long)]
    pub all: bool,
    /// Only containers that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// json, a Go template, or `table` and a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Only the last N containers, in any state
    #[arg(short = 'n', long, value_name = "N")]
    pub last: Option<i64>,
    /// Only the container that was created last
    #[arg(short, long, conflicts_with = "last")]
    pub latest: bool,
    /// Show ids and commands in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print no header
    #[arg(long)]
    pub noheading: bool,
    /// Print only ids
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// Show what the container has written, in bytes
    #[arg(short, long)]
    pub size: bool,
    /// Order: command, created, id, image, names, runningfor, size, status
    #[arg(long, value_name = "KEY")]
    pub sort: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    // What containers wrote is partly other users': only there can it all be read.
    if args.size && !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let filters = filter::containers(&args.filter, &dirs)?;
    let (all, damaged) = engine::list(&dirs)?;
    // A filter for a state, and --last, look at all containers, as podman does.
    let any_state = args.all
        || args.latest
        || args.last.is_some_and(|n| n >= 0)
        || filters.iter().any(|f| matches!(f, engine::ps::Filter::Status(_) | engine::ps::Filter::Exited(_)));
    let mut chosen: Vec<(Container, State)> = all
        .into_iter()
        .filter(|(_, s)| any_state || matches!(s.status, Status::Running | Status::Paused | Status::Stopping))
        .filter(|(c, s)| engine::ps::matches(&filters, c, s))
        .collect();
    let limit = if args.latest { Some(1) } else { args.last.and_then(|n| usize::try_from(n).ok()) };
    if let Some(limit) = limit {
        let drop = chosen.len().saturating_sub(limit);
        chosen.drain(..drop);
    }
    sort(&mut chosen, args.sort.as_deref())?;
    print(args, &dirs, &chosen)?;
    for error in &damaged {
        ui::error(error);
    }
    Ok(if damaged.is_empty() { 0 } else { 125 })
}

fn sort(rows: &mut [(Container, State)], key: Option<&str>) -> Result<()> {
    let started = |s: &State| s.started.clone().unwrap_or_default();
    match key.unwrap_or("created") {
        "created" => rows.sort_by(|(a, _), (b, _)| a.created.cmp(&b.created)),
        "command" => rows.sort_by(|(a, _), (b, _)| a.command.cmp(&b.command)),
        "id" => rows.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id)),
        "image" => rows.sort_by(|(a, _), (b, _)| a.image.cmp(&b.image)),
        "names" => rows.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name)),
        "runningfor" => rows.sort_by_key(|(_, s)| started(s)),
        "status" => rows.sort_by_key(|(_, s)| s.status.word()),
        "size" => return Err(parse::unsupported("--sort size")),
        other => {
            return Err(parse::invalid(
                "--sort",
                other,
                "one of command, created, id, image, names, runningfor, status",
                "--sort names",
            ));
        }
    }
    Ok(())
}

fn print(args: &Args, dirs: &Dirs, rows: &[(Container, State)]) -> Result<()> {
    let now = Timestamp::now();
    if args.quiet {
        let id =
            |c: &Container| if args.no_trunc { c.id.as_str().to_owned() } else { c.id.short().to_owned() };
        return ui::out(&rows.iter().map(|(c, _)| id(c) + "\n").collect::<String>());
    }
    match Format::parse(args.format.as_deref()) {
        Format::Json => {
            let all: Vec<Value> =
                rows.iter().map(|(c, s)| as_json(c, s, now, size_of(args, dirs, c))).collect();
            ui::out(&format::json(&Value::Array(all))?)
        }
        Format::Template(text) => {
            ui::out(&format::template(&label_calls(&text), &template_rows(args, dirs, rows, now))?)
        }
        Format::TableTemplate(text) => {
            let text = label_calls(&text);
            ui::out(&format::table_template(
                &text,
                &template_rows(args, dirs, rows, now),
                &HEADERS,
                !args.noheading,
            )?)
        }
        Format::Table => {
            let mut lines: Vec<Vec<String>> = Vec::new();
            let mut columns = vec!["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
            if args.size {
                columns.push("SIZE");
            }
            if !args.noheading {
                lines.push(columns.into_iter().map(str::to_owned).collect());
            }
            lines.extend(rows.iter().map(|(c, s)| table_row(args, dirs, c, s, now)));
            ui::out(&table::render(&lines))
        }
    }
}

/// podman's rows have a method `.Label "key"`; ours have a map.
fn label_calls(text: &str) -> String {
    text.replace(".Label \"", "index .LabelMap \"")
}

const HEADERS: [(&str, &str); 7] = [
    ("ID", "CONTAINER ID"),
    ("ImageID", "IMAGE ID"),
    ("RunningFor", "CREATED"),
    ("CreatedHuman", "CREATED"),
    ("PIDNS", "PIDNS"),
    ("CIDFile", "CIDFILE"),
    ("LabelMap", "LABEL"),
];

fn table_row(args: &Args, dirs: &Dirs, c: &Container, s: &State, now: Timestamp) -> Vec<String> {
    let mut row = vec![
        if args.no_trunc { c.id.as_str().to_owned() } else { c.id.short().to_owned() },
        c.image.clone(),
        command(c, !args.no_trunc),
        format!("{} ago", time::ago(&c.created, now)),
        status(c, s, now),
        ports(&c.network.ports),
        c.name.to_string(),
    ];
    if args.size {
        row.push(shown_size(size_of(args, dirs, c)));
    }
    row
}

/// `Up 5 minutes`, `Exited (0) 3 hours ago`.
pub fn status(c: &Container, s: &State, now: Timestamp) -> String {
    let since =
        |time: Option<&str>| engine::ps::seconds_since(time, now).map_or_else(String::new, time::human);
    let here = engine::machine_id();
    if !c.machine_id.is_empty() && !here.is_empty() && c.machine_id != here {
        return "On another host".to_owned();
    }
    match s.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("Up {}", since(s.started.as_deref())),
        Status::Paused => "Paused".to_owned(),
        Status::Stopping => "Stopping".to_owned(),
        Status::Exited => {
            format!("Exited ({}) {} ago", s.exit_code.unwrap_or(0), since(s.finished.as_deref()))
        }
    }
}

/// `0.0.0.0:8080->80/tcp, …`; neighbours in a range are shown as one.
pub fn ports(ports: &[PortMapping]) -> String {
    let mut shown: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(first) = ports.get(at) {
        let follows = |n: usize, p: &PortMapping| {
            let n = u16::try_from(n).unwrap_or(u16::MAX);
            p.protocol == first.protocol
                && p.host_ip == first.host_ip
                && first.host_port.checked_add(n) == Some(p.host_port)
                && first.container_port.checked_add(n) == Some(p.container_port)
        };
        let length = ports.iter().skip(at).enumerate().take_while(|(n, p)| follows(*n, p)).count().max(1);
        let last = u16::try_from(length - 1).unwrap_or(0);
        let span = |from: u16| if last == 0 { from.to_string() } else { format!("{from}-{}", from + last) };
        let ip = match first.host_ip.as_str() {
            "" => "0.0.0.0".to_owned(),
            v6 if v6.contains(':') => format!("[{v6}]"),
            v4 => v4.to_owned(),
        };
        shown.push(format!(
            "{ip}:{}->{}/{}",
            span(first.host_port),
            span(first.container_port),
            first.protocol
        ));
        at += length;
    }
    shown.join(", ")
}

fn command(c: &Container, short: bool) -> String {
    let full = c.command.join(" ");
    if short && full.chars().count() > 20 {
        full.chars().take(17).chain("...".chars()).collect()
    } else {
        full
    }
}

/// Bytes that the container has written, and those together with its image's.
type Sizes = (u64, u64);

fn size_of(args: &Args, dirs: &Dirs, c: &Container) -> Option<Sizes> {
    args.size.then(|| {
        let written = engine::prune::written(dirs, c);
        (written, written.saturating_add(engine::prune::layers_size(dirs, c)))
    })
}

fn shown_size(sizes: Option<Sizes>) -> String {
    let human = |bytes| parse::size::human(bytes, " ").replace(' ', "");
    sizes.map_or_else(String::new, |(rw, all)| format!("{} (virtual {})", human(rw), human(all)))
}

/// podman's `ps --format json`.
fn as_json(c: &Container, s: &State, now: Timestamp, size: Option<Sizes>) -> Value {
    let ports: Vec<Value> = c
        .network
        .ports
        .iter()
        .map(|p| json!({"host_ip": p.host_ip, "container_port": p.container_port, "host_port": p.host_port, "range": 1, "protocol": p.protocol}))
        .collect();
    json!({
        "AutoRemove": c.auto_remove,
        "Command": c.command,
        "CreatedAt": format!("{} ago", time::ago(&c.created, now)),
        "CIDFile": "",
        "Exited": s.status == Status::Exited,
        "ExitedAt": time::unix(s.finished.as_deref()),
        "ExitCode": s.exit_code.unwrap_or(0),
        "ExposedPorts": null,
        "Id": c.id,
        "Image": c.image,
        "ImageID": c.image_id.clone().unwrap_or_default(),
        "IsInfra": false,
        "Labels": c.labels,
        "Mounts": c.mounts.iter().map(|m| m.destination.as_str()).collect::<Vec<_>>(),
        "Names": [c.name],
        "Namespaces": {},
        "Networks": networks(c),
        "Pid": s.pid.unwrap_or(0),
        "Pod": "",
        "PodName": "",
        "Ports": if ports.is_empty() { Value::Null } else { ports.into() },
        "Restarts": s.restarts,
        "Size": size.map_or(Value::Null, |(rw, all)| json!({"rwSize": rw, "rootFsSize": all})),
        "StartedAt": time::unix(s.started.as_deref()),
        "State": s.status.word(),
        "Status": status(c, s, now),
        "Created": time::unix(Some(&c.created)),
    })
}

fn networks(c: &Container) -> Vec<&'static str> {
    use crate::ondisk::container::NetworkMode;
    match &c.network.mode {
        mode @ (NetworkMode::Slirp4netns { .. } | NetworkMode::Pasta { .. }) => {
            vec![engine::ps::network_name(mode)]
        }
        _ => Vec::new(),
    }
}

/// The same rows under the names that templates use.
fn template_rows(args: &Args, dirs: &Dirs, rows: &[(Container, State)], now: Timestamp) -> Vec<Value> {
    rows.iter()
        .map(|(c, s)| {
            let age = time::ago(&c.created, now);
            let size = shown_size(size_of(args, dirs, c));
            let since = |time: Option<&str>| time::unix(time);
            json!({
                "ID": if args.no_trunc { c.id.as_str() } else { c.id.short() },
                "Id": c.id,
                "Names": c.name,
                "Image": c.image,
                "ImageID": c.image_id.clone().unwrap_or_default(),
                "Command": command(c, !args.no_trunc),
                "CreatedAt": time::go_default(&c.created),
                "CreatedHuman": format!("{age} ago"),
                "Created": format!("{age} ago"),
                "RunningFor": format!("{age} ago"),
                "StartedAt": since(s.started.as_deref()),
                "Status": status(c, s, now),
                "State": s.status.word(),
                "Ports": ports(&c.network.ports),
                "ExposedPorts": c.exposed_ports.join(", "),
                "Labels": c.labels,
                "Mounts": c.mounts.iter().map(|m| m.destination.as_str()).collect::<Vec<_>>().join(","),
                "Networks": networks(c).join(","),
                "Pid": s.pid.unwrap_or(0),
                "Pod": "",
                "PodName": "",
                "Size": size,
                "ExitCode": s.exit_code.unwrap_or(0),
                "Exited": s.status == Status::Exited,
                "ExitedAt": since(s.finished.as_deref()),
                "Restarts": s.restarts,
                "IsInfra": false,
                "AutoRemove": c.auto_remove,
                "CIDFile": "",
                "LabelMap": c.labels,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ps::tests::sample;

    fn mapping(host_port: u16, container_port: u16) -> PortMapping {
        PortMapping { host_ip: String::new(), host_port, container_port, protocol: "tcp".into() }
    }

    #[test]
    fn neighbouring_ports_are_one_range() {
        assert_eq!(ports(&[mapping(8000, 80), mapping(8001, 81)]), "0.0.0.0:8000-8001->80-81/tcp");
        assert_eq!(
            ports(&[mapping(8000, 80), mapping(9000, 81)]),
            "0.0.0.0:8000->80/tcp, 0.0.0.0:9000->81/tcp"
        );
        let v6 = PortMapping { host_ip: "::1".into(), ..mapping(1, 2) };
        assert_eq!(ports(&[v6]), "[::1]:1->2/tcp");
    }

    #[test]
    fn json_has_podmans_keys_and_types() {
        let (c, s) = sample("c1", "localhost/t:1");
        let json = as_json(&c, &s, "2026-11-23T15:08:49Z".parse().unwrap(), None);
        assert_eq!(json["CreatedAt"], "6 seconds ago");
        assert_eq!(json["Created"], 1_795_446_522);
        assert_eq!(json["ExitedAt"], -62_135_596_800_i64);
        assert_eq!(json["Names"], json!(["c1"]));
        assert_eq!(json["Status"], "Created");
        assert_eq!(json["Ports"][0]["host_port"], 18080);
        assert_eq!(json["Mounts"], json!(["/data"]));
    }

    #[test]
    fn long_commands_are_cut_for_people() {
        let (mut c, _) = sample("c1", "i");
        c.command = vec!["sh".into(), "-c".into(), "echo a long story".into()];
        assert_eq!(command(&c, true), "sh -c echo a long...");
        assert_eq!(command(&c, false), "sh -c echo a long story");
    }
}
