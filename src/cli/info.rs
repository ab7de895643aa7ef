//! `coracle info`: this machine and this user's store.

use crate::cli::format::{self, Format};
use crate::cli::{App, ui};
use crate::engine;
use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// Show what this machine offers and where things are
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template: {{.Host.OCIRuntime.Name}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Also the checks of doctor
    #[arg(short = 'D', long, hide = true)]
    pub debug: bool,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let info = engine::info::info(&dirs);
    let value =
        serde_json::to_value(&info).map_err(|e| Error::internal(format_args!("cannot show info: {e}")))?;
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::out(&format::json(&value)?)?,
        Format::Template(text) | Format::TableTemplate(text) => {
            ui::out(&format::template(&text, &[go_names(&value)])?)?;
        }
        Format::Table => ui::out(&yaml(&value, 0))?,
    }
    Ok(0)
}

/// JSON's `ociRuntime` is `OCIRuntime` in templates, as in podman.
fn go_names(value: &Value) -> Value {
    const NAMES: [(&str, &str); 11] = [
        ("cgroupVersion", "CgroupsVersion"),
        ("ociRuntime", "OCIRuntime"),
        ("idMappings", "IDMappings"),
        ("uidmap", "UIDMap"),
        ("gidmap", "GIDMap"),
        ("os", "OS"),
        ("cpus", "CPUs"),
        ("seccompEnabled", "SECCOMPEnabled"),
        ("selinuxEnabled", "SELinuxEnabled"),
        ("apparmorEnabled", "AppArmorEnabled"),
        ("linkmode", "Linkmode"),
    ];
    match value {
        Value::Object(map) => {
            let name = |key: &str| match NAMES.iter().find(|(json, _)| *json == key) {
                Some((_, go)) => (*go).to_owned(),
                None => {
                    let mut chars = key.chars();
                    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
                }
            };
            Value::Object(map.iter().map(|(k, v)| (name(k), go_names(v))).collect())
        }
        Value::Array(items) => items.iter().map(go_names).collect(),
        other => other.clone(),
    }
}

/// As podman prints it: YAML of maps, lists and scalars.
fn yaml(value: &Value, depth: usize) -> String {
    let pad = "  ".repeat(depth);
    match value {
        Value::Object(map) => map.iter().map(|(key, value)| entry(&pad, key, value, depth)).collect(),
        Value::Array(items) => items
            .iter()
            .map(|item| match item {
                Value::Object(map) => list_item(&pad, map, depth),
                other => format!("{pad}- {}\n", scalar(other)),
            })
            .collect(),
        other => format!("{pad}{}\n", scalar(other)),
    }
}

fn entry(pad: &str, key: &str, value: &Value, depth: usize) -> String {
    match value {
        Value::Object(map) if map.is_empty() => format!("{pad}{key}: {{}}\n"),
        Value::Array(items) if items.is_empty() => format!("{pad}{key}: []\n"),
        Value::Object(_) => format!("{pad}{key}:\n{}", yaml(value, depth + 1)),
        Value::Array(_) => format!("{pad}{key}:\n{}", yaml(value, depth)),
        other => format!("{pad}{key}: {}\n", scalar(other)),
    }
}

/// `- ` before the first line, blanks before the others.
fn list_item(pad: &str, map: &Map<String, Value>, depth: usize) -> String {
    let text = yaml(&Value::Object(map.clone()), depth + 1);
    let skip = pad.len() + 2;
    format!("{pad}- {}", text.get(skip..).unwrap_or(&text))
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(s) if s.is_empty() => "\"\"".to_owned(),
        Value::String(s)
            if s.contains('\n')
                || s.contains(": ")
                || s.starts_with(['{', '[', '-', '*', '&', '#', '\'', '"', '`']) =>
        {
            Value::String(s.clone()).to_string()
        }
        Value::String(s) => s.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_have_gos_names() {
        let go = go_names(&json!({"host": {"ociRuntime": {"name": "x"}, "security": {"rootless": true}}}));
        assert_eq!(go.pointer("/Host/OCIRuntime/Name"), Some(&json!("x")));
        assert_eq!(go.pointer("/Host/Security/Rootless"), Some(&json!(true)));
    }

    #[test]
    fn text_is_yaml() {
        let text = yaml(&json!({"a": {"b": [1, "x: y"], "c": ""}, "d": [{"e": 1, "f": 2}], "g": {}}), 0);
        assert_eq!(text, "a:\n  b:\n  - 1\n  - \"x: y\"\n  c: \"\"\nd:\n- e: 1\n  f: 2\ng: {}\n");
    }
}
