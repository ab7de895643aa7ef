//! `coracle images`: the images of the store.

use crate::cli::format::{self, Format};
use crate::cli::parse::{size, time};
use crate::cli::{App, filter, table, ui};
use crate::engine::prune;
use crate::engine::prune::ImageFilter;
use crate::error::{Error, Result};
use crate::paths::Dirs;
use crate::store::{Image, Store};
use jiff::Timestamp;
use serde_json::{Value, json};

/// List images
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Images without a name are always listed; this is for scripts
    #[arg(short, long, hide = true)]
    pub all: bool,
    /// Show digests
    #[arg(long)]
    pub digests: bool,
    /// Only images that match: reference, id, label, before, since, until, dangling, containers, digest, readonly
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
    /// json, a Go template, or `table` and a template
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Show ids in full
    #[arg(long)]
    pub no_trunc: bool,
    /// Print no header
    #[arg(short, long)]
    pub noheading: bool,
    /// Print only ids
    #[arg(short, long, conflicts_with = "format")]
    pub quiet: bool,
    /// Order: created, id, repository, size, tag
    #[arg(long, value_name = "KEY", default_value = "created")]
    pub sort: String,
    /// Only images of this name
    #[arg(value_name = "IMAGE")]
    pub image: Option<String>,
}

/// One line: an image under one of its names.
struct Row<'a> {
    image: &'a Image,
    repository: String,
    tag: String,
    containers: usize,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let mut filters = filters(&args.filter, &dirs)?;
    if let Some(name) = &args.image {
        filters.push(ImageFilter::Reference(name.clone()));
    }
    let store = Store::open(&dirs)?;
    let (images, damaged) = store.all_images()?;
    for lost in &store.others().1 {
        ui::warn(lost);
    }
    let mut chosen = Vec::new();
    for image in &images {
        let users = store.image_users(&image.id)?.len();
        if prune::matches_image(&filters, image, users) {
            chosen.push((image, users));
        }
    }
    let mut rows: Vec<Row<'_>> =
        chosen.iter().flat_map(|(image, users)| rows_of(image, *users, &filters)).collect();
    sort(&mut rows, &args.sort)?;
    print(args, &rows, &chosen)?;
    Ok(ui::errors(&damaged))
}

/// `--filter` of images.
pub fn filters(texts: &[String], dirs: &Dirs) -> Result<Vec<ImageFilter>> {
    let store = Store::open(dirs)?;
    let created = |name: &str| -> Result<Timestamp> {
        let image = super::tag::find(&store, name)?;
        image
            .record
            .created
            .parse()
            .map_err(|_| Error::corrupt(format_args!("image {name} has no creation time")))
    };
    texts
        .iter()
        .map(|text| {
            let (key, value) = filter::split(text)?;
            Ok(match key {
                "reference" => ImageFilter::Reference(value.to_owned()),
                "id" => ImageFilter::Id(value.to_owned()),
                "label" => filter::label(value, ImageFilter::Label),
                "label!" => filter::label(value, ImageFilter::NotLabel),
                "before" => ImageFilter::Before(created(value)?),
                "since" | "after" => ImageFilter::Since(created(value)?),
                "until" => ImageFilter::Before(filter::until(value)?),
                "dangling" => ImageFilter::Dangling(filter::parse_bool(text, value)?),
                "containers" => ImageFilter::Containers(filter::parse_bool(text, value)?),
                "digest" => ImageFilter::Digest(value.to_owned()),
                // Nothing of these kinds exists here.
                "readonly" => ImageFilter::ReadOnly(filter::parse_bool(text, value)?),
                "intermediate" | "manifest" => ImageFilter::Never(filter::parse_bool(text, value)?),
                _ => {
                    return Err(filter::unknown(
                        key,
                        "reference, id, label, before, since, until, dangling, containers, digest, readonly",
                    ));
                }
            })
        })
        .collect()
}

fn rows_of<'a>(image: &'a Image, containers: usize, filters: &[ImageFilter]) -> Vec<Row<'a>> {
    let row = |repository: String, tag: String| Row { image, repository, tag, containers };
    let wanted = |name: &&String| {
        filters.iter().all(|f| !matches!(f, ImageFilter::Reference(r) if !prune::is_reference(name, r)))
    };
    let names: Vec<Row<'a>> = image
        .names
        .iter()
        .filter(wanted)
        .map(|name| {
            let (repository, tag) = split_name(name);
            row(repository, tag)
        })
        .collect();
    if names.is_empty() { vec![row("<none>".into(), "<none>".into())] } else { names }
}

/// `localhost:5000/a/b:13` → (`localhost:5000/a/b`, `13`).
fn split_name(name: &str) -> (String, String) {
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    match name.get(slash..).and_then(|last| last.rfind(':')) {
        Some(colon) => {
            let (repository, tag) = name.split_at(slash + colon);
            (repository.to_owned(), tag.trim_start_matches(':').to_owned())
        }
        None => (name.to_owned(), "<none>".to_owned()),
    }
}

fn sort(rows: &mut [Row<'_>], key: &str) -> Result<()> {
    match key {
        "created" => rows.sort_by(|a, b| b.image.record.created.cmp(&a.image.record.created)),
        "id" => rows.sort_by(|a, b| a.image.id.cmp(&b.image.id)),
        "repository" => rows.sort_by(|a, b| a.repository.cmp(&b.repository)),
        "size" => rows.sort_by_key(|row| row.image.record.size),
        "tag" => rows.sort_by(|a, b| a.tag.cmp(&b.tag)),
        other => {
            return Err(super::parse::invalid(
                "--sort",
                other,
                "one of created, id, repository, size, tag",
                "--sort size",
            ));
        }
    }
    Ok(())
}

fn print(args: &Args, rows: &[Row<'_>], images: &[(&Image, usize)]) -> Result<()> {
    let now = Timestamp::now();
    let id = |image: &Image| {
        if args.no_trunc { image.id.prefixed() } else { image.id.as_str().chars().take(12).collect() }
    };
    if args.quiet {
        let mut ids: Vec<String> = Vec::new();
        for row in rows {
            let id = id(row.image);
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        return ui::out(&ids.into_iter().map(|id| id + "\n").collect::<String>());
    }
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::out(&format::json(&Value::Array(
            images.iter().map(|(image, users)| as_json(image, *users)).collect(),
        ))?),
        Format::Template(text) => ui::out(&format::template(&text, &template_rows(args, rows, now))?),
        Format::TableTemplate(text) => ui::out(&format::table_template(
            &text,
            &template_rows(args, rows, now),
            &HEADERS,
            !args.noheading,
        )?),
        Format::Table => {
            let mut lines = Vec::new();
            // As podman: only where there is one.
            let read_only = rows.iter().any(|row| row.image.store.is_some());
            let digest = |cells: &mut Vec<String>, text: String| {
                if args.digests {
                    cells.insert(2, text);
                }
            };
            if !args.noheading {
                let mut head: Vec<String> =
                    ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"].map(str::to_owned).into();
                digest(&mut head, "DIGEST".to_owned());
                head.extend(read_only.then(|| "R/O".to_owned()));
                lines.push(head);
            }
            for row in rows {
                let record = &row.image.record;
                let mut cells = vec![
                    row.repository.clone(),
                    row.tag.clone(),
                    id(row.image),
                    format!("{} ago", time::ago(&record.created, now)),
                    size::human(record.size, " "),
                ];
                digest(&mut cells, record.manifest.prefixed());
                cells.extend(read_only.then(|| row.image.store.is_some().to_string()));
                lines.push(cells);
            }
            ui::out(&table::render(&lines))
        }
    }
}

const HEADERS: [(&str, &str); 5] = [
    ("ID", "IMAGE ID"),
    ("Id", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("RepoTags", "REPO TAGS"),
    ("ReadOnly", "R/O"),
];

fn as_json(image: &Image, containers: usize) -> Value {
    let record = &image.record;
    let labels = if image.config.labels.is_empty() { Value::Null } else { json!(image.config.labels) };
    let mut shown = json!({
        "Id": image.id,
        "ParentId": "",
        "RepoTags": if image.names.is_empty() { Value::Null } else { json!(image.names) },
        "RepoDigests": image.digests,
        "Size": record.size,
        "SharedSize": 0,
        "VirtualSize": record.size,
        "Labels": labels,
        "Containers": containers,
        "Dangling": image.names.is_empty(),
        "Arch": record.architecture,
        "Os": record.os,
        "Digest": record.manifest.prefixed(),
        "History": image.names,
        "Names": image.names,
        "Created": time::unix(Some(&record.created)),
        "CreatedAt": record.created,
    });
    if image.store.is_some()
        && let Some(shown) = shown.as_object_mut()
    {
        // podman leaves it out where it is false.
        shown.insert("ReadOnly".into(), json!(true));
    }
    shown
}

fn template_rows(args: &Args, rows: &[Row<'_>], now: Timestamp) -> Vec<Value> {
    rows.iter()
        .map(|row| {
            let record = &row.image.record;
            let id = if args.no_trunc {
                row.image.id.prefixed()
            } else {
                row.image.id.as_str().chars().take(12).collect()
            };
            json!({
                "ID": id,
                "Id": row.image.id,
                "Repository": row.repository,
                "Tag": row.tag,
                "Digest": record.manifest.prefixed(),
                "CreatedSince": format!("{} ago", time::ago(&record.created, now)),
                "CreatedAt": time::go_default(&record.created),
                "Created": format!("{} ago", time::ago(&record.created, now)),
                "CreatedTime": time::go_default(&record.created),
                "Size": size::human(record.size, " "),
                "VirtualSize": size::human(record.size, " "),
                "SharedSize": 0,
                "Labels": row.image.config.labels,
                "Names": row.image.names,
                "RepoTags": row.image.names,
                "RepoDigests": row.image.digests,
                "Containers": row.containers,
                "Dangling": row.image.names.is_empty(),
                "ReadOnly": row.image.store.is_some(),
                "History": row.image.names.join(", "),
                "ParentId": "",
                "Arch": record.architecture,
                "Os": record.os,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_registry_is_no_tag() {
        assert_eq!(split_name("127.0.0.1:5000/debian:13"), ("127.0.0.1:5000/debian".into(), "13".into()));
        assert_eq!(split_name("127.0.0.1:5000/debian"), ("127.0.0.1:5000/debian".into(), "<none>".into()));
    }
}
