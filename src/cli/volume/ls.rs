//! `coracle volume ls`.

use crate::cli::format::{self, Format};
use crate::cli::{App, table, ui};
use crate::engine;
use crate::error::Result;
use crate::store::volume;
use serde_json::{Value, json};

/// List volumes
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Only volumes that match: dangling, driver, label, name, scope, since, until, anonymous
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// json, a Go template, or `table` and a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Print no header
    #[arg(short, long)]
    pub noheading: bool,
    /// Print only names
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
}

const HEADERS: [(&str, &str); 2] = [("Name", "VOLUME NAME"), ("Mountpoint", "MOUNT POINT")];

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let filters = super::filters(&args.filter)?;
    let (all, damaged) = volume::list(&dirs)?;
    let mut chosen = Vec::new();
    for v in all {
        if engine::volume::matches(&dirs, &filters, &v)? {
            chosen.push(v);
        }
    }
    if args.quiet {
        ui::out(&chosen.iter().map(|v| format!("{}\n", v.name)).collect::<String>())?;
        return Ok(ui::errors(&damaged));
    }
    let rows: Vec<Value> = chosen.iter().map(|v| super::describe(&dirs, v)).collect();
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::out(&format::json(&Value::Array(rows))?)?,
        Format::Template(text) => ui::out(&format::template(&text, &with_label_text(rows))?)?,
        Format::TableTemplate(text) => {
            ui::out(&format::table_template(&text, &with_label_text(rows), &HEADERS, !args.noheading)?)?;
        }
        Format::Table => {
            let mut lines = Vec::new();
            if !args.noheading && !chosen.is_empty() {
                lines.push(vec!["DRIVER".to_owned(), "VOLUME NAME".to_owned()]);
            }
            lines.extend(chosen.iter().map(|v| vec!["local".to_owned(), v.name.to_string()]));
            ui::out(&table::render(&lines))?;
        }
    }
    Ok(ui::errors(&damaged))
}

/// Templates of lists show labels as one text.
fn with_label_text(rows: Vec<Value>) -> Vec<Value> {
    rows.into_iter()
        .map(|mut row| {
            let labels: Vec<String> = row["Labels"]
                .as_object()
                .into_iter()
                .flatten()
                .map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default()))
                .collect();
            row["Labels"] = json!(labels.join(","));
            row
        })
        .collect()
}
