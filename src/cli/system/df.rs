//! `coracle system df`: what takes how much space. Runs in the store's namespace, where every file can be read.

use crate::cli::format::{self, Format};
use crate::cli::parse::size;
use crate::cli::{App, table, ui};
use crate::engine;
use crate::error::Result;
use crate::ondisk::container::Status;
use crate::paths::Dirs;
use crate::store::{Store, volume};
use crate::userns;
use serde_json::{Value, json};

/// Show how much space images, containers and volumes take
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Every image, container and volume
    #[arg(short, long)]
    pub verbose: bool,
}

/// One line of the summary.
struct Line {
    kind: &'static str,
    total: usize,
    active: usize,
    size: u64,
    reclaimable: u64,
}

/// Name and bytes of one object, and whether it is in use.
type Item = (String, u64, bool);

pub fn run(args: &Args, app: &App) -> Result<u8> {
    if !userns::inside_store() {
        return app.in_store();
    }
    let dirs = app.dirs()?;
    let all =
        [("Images", images(&dirs)?), ("Containers", containers(&dirs)?), ("Local Volumes", volumes(&dirs)?)];
    let lines: Vec<Line> = all.iter().map(|(kind, items)| summary(kind, items)).collect();
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::out(&format::json(&Value::Array(lines.iter().map(row).collect()))?)?,
        Format::Template(text) => {
            ui::out(&format::template(&text, &lines.iter().map(row).collect::<Vec<_>>())?)?;
        }
        Format::TableTemplate(text) => {
            ui::out(&format::table_template(&text, &lines.iter().map(row).collect::<Vec<_>>(), &[], true)?)?;
        }
        Format::Table if args.verbose => verbose(&all)?,
        Format::Table => {
            let mut rows =
                vec![["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"].map(str::to_owned).to_vec()];
            rows.extend(lines.iter().map(|l| {
                vec![
                    l.kind.to_owned(),
                    l.total.to_string(),
                    l.active.to_string(),
                    size::human(l.size, ""),
                    reclaimable(l),
                ]
            }));
            ui::out(&table::render(&rows))?;
        }
    }
    Ok(0)
}

fn images(dirs: &Dirs) -> Result<Vec<Item>> {
    let store = Store::open(dirs)?;
    let mut items = Vec::new();
    for image in store.images()?.0 {
        let name = image.names.first().cloned().unwrap_or_else(|| image.id.to_string());
        let used = !store.image_users(&image.id)?.is_empty();
        items.push((name, image.record.size, used));
    }
    Ok(items)
}

fn containers(dirs: &Dirs) -> Result<Vec<Item>> {
    let (all, _) = engine::list(dirs)?;
    let item = |(c, s): (crate::ondisk::container::Container, crate::ondisk::container::State)| {
        (
            c.name.to_string(),
            engine::prune::written(dirs, &c),
            matches!(s.status, Status::Running | Status::Paused),
        )
    };
    Ok(all.into_iter().map(item).collect())
}

fn volumes(dirs: &Dirs) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for v in volume::list(dirs)?.0 {
        let used = !volume::users(dirs, &v.name)?.is_empty();
        items.push((v.name.to_string(), engine::prune::tree_bytes(&volume::data_path(dirs, &v.name)), used));
    }
    Ok(items)
}

fn summary(kind: &'static str, items: &[Item]) -> Line {
    Line {
        kind,
        total: items.len(),
        active: items.iter().filter(|(_, _, used)| *used).count(),
        size: items.iter().map(|(_, bytes, _)| bytes).sum(),
        reclaimable: items.iter().filter(|(_, _, used)| !used).map(|(_, bytes, _)| bytes).sum(),
    }
}

fn reclaimable(l: &Line) -> String {
    let percent = (l.reclaimable.saturating_mul(100)).checked_div(l.size).unwrap_or(0);
    format!("{} ({percent}%)", size::human(l.reclaimable, ""))
}

fn row(l: &Line) -> Value {
    json!({
        "Type": l.kind,
        "Total": l.total,
        "Active": l.active,
        "RawSize": l.size,
        "RawReclaimable": l.reclaimable,
        "Size": size::human(l.size, ""),
        "Reclaimable": reclaimable(l),
    })
}

fn verbose(all: &[(&str, Vec<Item>)]) -> Result<()> {
    for (kind, items) in all {
        ui::line(format_args!("{kind} space usage:\n"))?;
        let mut rows = vec![["NAME", "SIZE", "IN USE"].map(str::to_owned).to_vec()];
        rows.extend(
            items
                .iter()
                .map(|(name, bytes, used)| vec![name.clone(), size::human(*bytes, ""), used.to_string()]),
        );
        ui::line(table::render(&rows))?;
    }
    Ok(())
}
