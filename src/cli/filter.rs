//! `--filter key=value` → typed filters.

use crate::cli::parse;
use crate::engine::{self, ps::Filter};
use crate::error::{Error, Result};
use crate::ondisk::container::Status;
use crate::paths::Dirs;
use jiff::Timestamp;

/// Filters of containers.
pub fn containers(texts: &[String], dirs: &Dirs) -> Result<Vec<Filter>> {
    texts.iter().map(|text| container(text, dirs)).collect()
}

fn container(text: &str, dirs: &Dirs) -> Result<Filter> {
    let (key, value) = split(text)?;
    let owned = || value.to_owned();
    let name_regex = || {
        regex::Regex::new(value).map(Filter::Name).map_err(|e| {
            Error::usage(format_args!("invalid filter {text:?}"))
                .cause(e)
                .hint("name= is a regular expression.")
        })
    };
    Ok(match key {
        "id" => Filter::Id(owned()),
        "name" => name_regex()?,
        "label" => label(value, Filter::Label),
        "label!" => label(value, Filter::NotLabel),
        "exited" => Filter::Exited(value.parse().map_err(|_| bad(text, "not a number"))?),
        "status" => Filter::Status(status(text, value)?),
        "ancestor" => Filter::Ancestor(owned()),
        "before" => Filter::Before(created_at(dirs, value)?),
        "since" | "after" => Filter::Since(created_at(dirs, value)?),
        "until" => Filter::Until(until(value)?),
        "volume" => Filter::Volume(owned()),
        "network" => Filter::Network(owned()),
        "health" => Filter::Health(owned()),
        "restarts" => Filter::Restarts(parse_bool(text, value)?),
        "restart-policy" => Filter::RestartPolicy(owned()),
        "should-start-on-boot" => Filter::StartsOnBoot(parse_bool(text, value)?),
        "pod" => return Err(parse::unsupported("the filter pod=")),
        _ => {
            return Err(unknown(
                key,
                "id, name, label, exited, status, ancestor, before, since, until, volume, network, health, restart-policy, should-start-on-boot",
            ));
        }
    })
}

/// `key=value`; `label!=x` has the `!` in the key.
pub fn split(text: &str) -> Result<(&str, &str)> {
    text.split_once('=').ok_or_else(|| bad(text, "not key=value"))
}

/// The error for a key that no filter has.
pub fn unknown(key: &str, known: &str) -> Error {
    Error::usage(format_args!("{key:?} is no filter")).hint(format_args!("Filters are {known}."))
}

/// A wrong filter.
pub fn bad(text: &str, why: &str) -> Error {
    parse::invalid("filter", text, why, "--filter name=web")
}

/// `true` and `false` of a filter.
pub fn parse_bool(text: &str, value: &str) -> Result<bool> {
    crate::cli::tree::go_bool(value).map_err(|why| bad(text, &why))
}

/// `until=10m` or a time.
pub fn until(value: &str) -> Result<Timestamp> {
    parse::time::point("filter until=", value, Timestamp::now())
}

/// Key and value of a label filter.
pub fn label<T>(value: &str, make: fn(String, Option<String>) -> T) -> T {
    match value.split_once('=') {
        Some((key, value)) => make(key.to_owned(), Some(value.to_owned())),
        None => make(value.to_owned(), None),
    }
}

fn status(text: &str, value: &str) -> Result<Status> {
    Status::parse(value).ok_or_else(|| bad(text, "one of created, running, paused, stopping, exited"))
}

fn created_at(dirs: &Dirs, name: &str) -> Result<Timestamp> {
    let (all, _) = engine::list(dirs)?;
    engine::ps::created_at(&all, name)
        .ok_or_else(|| Error::not_found(format_args!("no such container {name}")))
}
