//! `--format`: `json`, a Go template, or `table` and a Go template.
//!
//! Rows are JSON values whose keys are podman's template names (`.Names`, `.State.Pid`). A field that does not exist is
//! an error, as for a Go struct; `index` of a map gives the empty string, as for Go's `map[string]string`.

use crate::cli::table;
use crate::error::{Error, Result};
use gotmpl::{MissingKey, Template, TemplateError, Value as Go};
use serde_json::Value;

/// What `--format` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Not given: the command's own table.
    Table,
    Json,
    /// One line per item.
    Template(String),
    /// With a header line.
    TableTemplate(String),
}

impl Format {
    /// Reads the flag's value.
    pub fn parse(text: Option<&str>) -> Self {
        let Some(text) = text else { return Self::Table };
        match text.trim() {
            "" | "table" => Self::Table,
            "json" | "{{json .}}" | "{{ json . }}" | "{{json . }}" | "{{ json .}}" => Self::Json,
            text => match text.strip_prefix("table") {
                Some(rest) if rest.starts_with(|c: char| c.is_whitespace() || c == '\\' || c == '{') => {
                    // podman makes columns also of fields with only a blank between them.
                    Self::TableTemplate(unescape(rest.trim_start()).replace("}} {{", "}}\t{{"))
                }
                _ => Self::Template(unescape(text)),
            },
        }
    }
}

/// JSON as podman prints lists and inspections: pretty, four spaces.
pub fn json(value: &Value) -> Result<String> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    serde::Serialize::serialize(value, &mut serializer)
        .map_err(|e| Error::internal(format_args!("cannot print JSON: {e}")))?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    text.push('\n');
    Ok(text)
}

/// One rendered line per row.
pub fn template(text: &str, rows: &[Value]) -> Result<String> {
    let template = compile(text)?;
    let mut all = String::new();
    for row in rows {
        let line = template.execute_to_string(&to_go(row)).map_err(|e| bad_template(text, &e))?;
        all.push_str(&line);
        if !line.ends_with('\n') {
            all.push('\n');
        }
    }
    Ok(all)
}

/// A header from the field names, then the rows, with tabs as column borders.
pub fn table_template(text: &str, rows: &[Value], headers: &[(&str, &str)], heading: bool) -> Result<String> {
    let body = template(text, rows)?;
    let mut cells: Vec<Vec<String>> = Vec::new();
    if heading {
        cells.push(split_row(&header(text, headers)));
    }
    cells.extend(body.lines().map(split_row));
    Ok(table::render(&cells))
}

/// The header line: every `.Field` by its heading.
fn header(text: &str, headers: &[(&str, &str)]) -> String {
    let mut line = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        line.push_str(before);
        let Some((action, after)) = after.split_once("}}") else { break };
        let field = action
            .split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|'))
            .find_map(|w| w.strip_prefix('.'));
        if let Some(field) = field {
            line.push_str(&heading_of(field, headers));
        }
        rest = after;
    }
    line.push_str(rest);
    line
}

/// `CreatedAt` → `CREATED AT`, unless the command has a heading of its own.
fn heading_of(field: &str, headers: &[(&str, &str)]) -> String {
    if let Some((_, heading)) = headers.iter().find(|(name, _)| *name == field) {
        return (*heading).to_owned();
    }
    let mut heading = String::new();
    let mut before_lower = false;
    for c in field.chars() {
        if c == '.' {
            heading.push(' ');
            before_lower = false;
            continue;
        }
        if c.is_uppercase() && before_lower {
            heading.push(' ');
        }
        before_lower = c.is_lowercase();
        heading.extend(c.to_uppercase());
    }
    heading
}

fn split_row(line: &str) -> Vec<String> {
    line.split('\t').map(|cell| cell.trim_end().to_owned()).collect()
}

/// `\t` and `\n` typed in a shell's single quotes.
fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

fn compile(text: &str) -> Result<Template> {
    Template::new("format")
        .missing_key(MissingKey::Error)
        .func("json", |args| one(args, |v| Ok(from_go(v).to_string().as_str().into())))
        .func("join", |args| match args {
            [Go::List(items), separator] => {
                let separator = separator.to_string();
                Ok(Go::String(
                    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(&separator).into(),
                ))
            }
            _ => Err(TemplateError::Exec("join wants a list and a separator".into())),
        })
        .func("lower", |args| one(args, |v| Ok(v.to_string().to_lowercase().as_str().into())))
        .func("upper", |args| one(args, |v| Ok(v.to_string().to_uppercase().as_str().into())))
        .func("title", |args| one(args, |v| Ok(title(&v.to_string()).as_str().into())))
        .func("split", |args| match args {
            [text, separator] => {
                let separator = separator.to_string();
                let text = text.to_string();
                Ok(Go::List(text.split(separator.as_str()).map(|part| Go::String(part.into())).collect()))
            }
            _ => Err(TemplateError::Exec("split wants a text and a separator".into())),
        })
        .func("truncate", |args| match args {
            [text, length] => {
                let length = usize::try_from(length.as_int().unwrap_or(0)).unwrap_or(0);
                Ok(Go::String(text.to_string().chars().take(length).collect::<String>().into()))
            }
            _ => Err(TemplateError::Exec("truncate wants a text and a length".into())),
        })
        .func("pad", pad)
        .func("index", index)
        .parse(text)
        .map_err(|e| bad_template(text, &e))
}

fn one(
    args: &[Go],
    f: impl Fn(&Go) -> Result<std::sync::Arc<str>, TemplateError>,
) -> Result<Go, TemplateError> {
    match args {
        [value] => Ok(Go::String(f(value)?)),
        _ => Err(TemplateError::Exec(format!("wants one argument, not {}", args.len()))),
    }
}

/// `pad "text" before after`, as Docker's templates have it.
fn pad(args: &[Go]) -> Result<Go, TemplateError> {
    let [text, before, after] = args else {
        return Err(TemplateError::Exec("pad wants a text and two numbers".into()));
    };
    let spaces = |n: &Go| " ".repeat(usize::try_from(n.as_int().unwrap_or(0)).unwrap_or(0).min(1024));
    Ok(Go::String(format!("{}{text}{}", spaces(before), spaces(after)).into()))
}

/// Go's `index`, with the empty string for a key that a map does not have.
fn index(args: &[Go]) -> Result<Go, TemplateError> {
    let Some((value, keys)) = args.split_first() else {
        return Err(TemplateError::Exec("index wants a value".into()));
    };
    keys.iter().try_fold(value.clone(), |value, key| match &value {
        Go::Map(map) => {
            Ok(map.get(key.to_string().as_str()).cloned().unwrap_or_else(|| Go::String("".into())))
        }
        Go::Nil => Ok(Go::String("".into())),
        Go::List(list) => {
            let at = key.as_int().and_then(|at| usize::try_from(at).ok());
            let item = at.and_then(|at| list.get(at)).cloned();
            item.ok_or_else(|| {
                TemplateError::Exec(format!("index {key} is out of range of {} items", list.len()))
            })
        }
        other => Err(TemplateError::Exec(format!("cannot index {other}"))),
    })
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let c: Vec<char> = if start { c.to_uppercase().collect() } else { vec![c] };
            start = c.last().is_some_and(|c| !c.is_alphanumeric());
            c
        })
        .collect()
}

fn bad_template(text: &str, error: &TemplateError) -> Error {
    Error::usage(format_args!("cannot render --format {text:?}"))
        .cause(error)
        .hint("Show all fields with `--format json` (`ps`, `images`, …) or without --format (`inspect`).")
}

fn to_go(value: &Value) -> Go {
    match value {
        Value::Null => Go::Nil,
        Value::Bool(b) => Go::Bool(*b),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => Go::Int(n),
            (None, Some(n)) => Go::Uint(n),
            (None, None) => Go::Float(n.as_f64().unwrap_or(0.0)),
        },
        Value::String(s) => Go::String(s.as_str().into()),
        Value::Array(items) => Go::List(items.iter().map(to_go).collect()),
        Value::Object(map) => {
            Go::Map(std::sync::Arc::new(map.iter().map(|(k, v)| (k.as_str().into(), to_go(v))).collect()))
        }
    }
}

fn from_go(value: &Go) -> Value {
    match value {
        Go::Bool(b) => (*b).into(),
        Go::Int(n) => (*n).into(),
        Go::Uint(n) => (*n).into(),
        Go::Float(n) => (*n).into(),
        Go::String(s) => s.as_ref().into(),
        Go::List(items) => items.iter().map(from_go).collect(),
        Go::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.to_string(), from_go(v))).collect()),
        Go::Nil | Go::Function(_) => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row() -> Value {
        json!({"Names": "web", "Labels": {"a.b": "c"}, "State": {"Pid": 7}, "Mounts": ["/data", "/src"]})
    }

    fn one_line(text: &str) -> String {
        template(text, &[row()]).unwrap()
    }

    #[test]
    fn templates_have_fields_functions_and_loops() {
        assert_eq!(one_line("{{.Names}} {{.State.Pid}}"), "web 7\n");
        assert_eq!(one_line("{{json .Labels}}"), "{\"a.b\":\"c\"}\n");
        assert_eq!(one_line(r#"{{index .Labels "a.b"}}[{{index .Labels "none"}}]"#), "c[]\n");
        assert_eq!(one_line("{{range .Mounts}}{{.}};{{end}}"), "/data;/src;\n");
        assert_eq!(
            one_line(r#"{{join .Mounts ","}} {{upper .Names}} {{title .Names}}"#),
            "/data,/src WEB Web\n"
        );
        assert_eq!(one_line(r#"{{if eq .State.Pid 7}}up{{else}}down{{end}}"#), "up\n");
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let error = template("{{.Nmes}}", &[row()]).unwrap_err();
        assert!(error.what().contains("{{.Nmes}}"), "{error}");
    }

    #[test]
    fn a_table_has_a_header_of_the_field_names() {
        let Format::TableTemplate(text) = Format::parse(Some(r"table {{.Names}}\t{{.CreatedAt}}\t{{.ID}}"))
        else {
            panic!("not a table");
        };
        let rows = [json!({"Names": "web", "CreatedAt": "now", "ID": "1"})];
        let table = table_template(&text, &rows, &[("ID", "CONTAINER ID")], true).unwrap();
        assert_eq!(table, "NAMES       CREATED AT  CONTAINER ID\nweb         now         1\n");
    }

    #[test]
    fn json_and_table_are_recognised() {
        assert_eq!(Format::parse(Some("json")), Format::Json);
        assert_eq!(Format::parse(Some("{{json .}}")), Format::Json);
        assert_eq!(Format::parse(None), Format::Table);
        assert_eq!(Format::parse(Some("tablespoon")), Format::Template("tablespoon".into()));
    }
}
