//! `coracle history`: how an image was made, newest step first.

use crate::cli::format::{self, Format};
use crate::cli::parse::{size, time};
use crate::cli::{App, table, ui};
use crate::error::Result;
use crate::store::{Image, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

/// Show the steps that an image was made of
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Sizes and times for people; false: bytes and dates
    #[arg(short = 'H', long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = clap::ArgAction::Set, value_parser = crate::cli::tree::go_bool)]
    pub human: bool,
    /// Show everything in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print only ids
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// Name or id
    #[arg(value_name = "IMAGE")]
    pub image: String,
}

/// One step.
struct Step {
    created: String,
    created_by: String,
    comment: String,
    size: u64,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let store = Store::open(&app.dirs()?)?;
    let image = super::tag::find(&store, &args.image)?;
    let steps = steps(store.of(&image)?, &image)?;
    let id = |at: usize| match at {
        0 if args.no_trunc => image.id.to_string(),
        0 => image.id.as_str().chars().take(12).collect(),
        _ => "<missing>".to_owned(),
    };
    if args.quiet {
        return ui::out(&(0..steps.len()).map(|at| id(at) + "\n").collect::<String>()).map(|()| 0);
    }
    let now = Timestamp::now();
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::out(&format::json(&Value::Array(
            steps.iter().enumerate().map(|(at, step)| as_json(&image, at, step)).collect(),
        ))?)?,
        Format::Template(text) => ui::out(&format::template(&text, &rows(args, &steps, &id, now))?)?,
        Format::TableTemplate(text) => {
            ui::out(&format::table_template(&text, &rows(args, &steps, &id, now), &[], true)?)?;
        }
        Format::Table => {
            let text = "{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
            let body = format::template(text, &rows(args, &steps, &id, now))?;
            let mut lines =
                vec![["ID", "CREATED", "CREATED BY", "SIZE", "COMMENT"].map(str::to_owned).to_vec()];
            lines.extend(body.lines().map(|line| line.split('\t').map(str::to_owned).collect()));
            ui::out(&table::render(&lines))?;
        }
    }
    Ok(0)
}

/// Newest first. Layers belong to the steps that are not empty, in their order; a config without a history has only those.
fn steps(store: &Store, image: &Image) -> Result<Vec<Step>> {
    let mut layers = image.record.layers.iter();
    let mut size = || -> Result<u64> {
        let Some(layer) = layers.next() else { return Ok(0) };
        Ok(store.layer(layer)?.map_or(0, |layer| layer.size))
    };
    let mut steps = Vec::new();
    for step in &image.document.history {
        steps.push(Step {
            created: step.created.clone().unwrap_or_default(),
            created_by: step.created_by.clone().unwrap_or_default(),
            comment: step.comment.clone().unwrap_or_default(),
            size: if step.empty_layer { 0 } else { size()? },
        });
    }
    let counted = image.document.history.iter().filter(|step| !step.empty_layer).count();
    for _ in counted..image.record.layers.len() {
        let created = image.record.created.clone();
        steps.push(Step { created, created_by: String::new(), comment: String::new(), size: size()? });
    }
    steps.reverse();
    Ok(steps)
}

fn as_json(image: &Image, at: usize, step: &Step) -> Value {
    json!({
        "id": if at == 0 { image.id.to_string() } else { "<missing>".to_owned() },
        "created": step.created,
        "CreatedBy": step.created_by,
        "size": step.size,
        "comment": step.comment,
        "tags": if at == 0 { json!(image.names) } else { Value::Null },
    })
}

fn rows(args: &Args, steps: &[Step], id: &dyn Fn(usize) -> String, now: Timestamp) -> Vec<Value> {
    let in_one = |text: &str| text.replace(['\t', '\n'], " ");
    let cut = |text: &str| {
        let line = in_one(text);
        match args.no_trunc || line.chars().count() <= 45 {
            true => line,
            false => line.chars().take(42).chain("...".chars()).collect(),
        }
    };
    let row = |(at, step): (usize, &Step)| {
        let since = || format!("{} ago", time::ago(&step.created, now));
        json!({
            "ID": id(at),
            "Created": if args.human { since() } else { step.created.clone() },
            "CreatedSince": since(),
            "CreatedAt": step.created,
            "CreatedBy": cut(&step.created_by),
            "Size": if args.human { size::human(step.size, " ") } else { step.size.to_string() },
            "Comment": in_one(&step.comment),
        })
    };
    steps.iter().enumerate().map(row).collect()
}
