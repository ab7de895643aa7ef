//! The commands of a devcontainer.json: a line for the shell, a program with its arguments, or several that run at once.

use crate::error::{Error, Result};
use serde_json::Value;

/// When they run, in this order. Those of a creation run once, those of a start after each start.
pub const CREATION: [&str; 3] = ["onCreateCommand", "updateContentCommand", "postCreateCommand"];
pub const START: &str = "postStartCommand";
pub const ATTACH: &str = "postAttachCommand";

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Line(String),
    Words(Vec<String>),
    /// Each with its name.
    Together(Vec<(String, Self)>),
}

impl Command {
    /// What is run. `expand` is given every text.
    pub fn words(&self, expand: &dyn Fn(&str) -> String) -> Vec<String> {
        match self {
            Self::Line(line) => ["sh".to_owned(), "-c".to_owned(), expand(line)].to_vec(),
            Self::Words(words) => words.iter().map(|word| expand(word)).collect(),
            Self::Together(all) => ["sh".to_owned(), "-c".to_owned(), together(all, expand)].to_vec(),
        }
    }
}

/// All begin at once; the exit code is that of the last of them that failed, whose name is said.
fn together(all: &[(String, Command)], expand: &dyn Fn(&str) -> String) -> String {
    let mut script = String::new();
    for (number, (_, command)) in all.iter().enumerate() {
        let words: Vec<String> = command.words(expand).iter().map(|word| quoted(word)).collect();
        script += &format!("{} & p{number}=$!\n", words.join(" "));
    }
    script += "r=0\n";
    for (number, (name, _)) in all.iter().enumerate() {
        let said = quoted(&format!("{name} failed with exit code"));
        script += &format!("wait $p{number} || {{ r=$?; echo {said} $r; }}\n");
    }
    script + "exit $r\n"
}

/// For sh.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// What stands at `key`. None: nothing to run.
pub fn parse(key: &str, value: Option<&Value>) -> Result<Option<Command>> {
    let bad = || {
        Error::usage(format_args!("{key} is no command"))
            .hint(format_args!("Write a line, `\"{key}\": \"make deps\"`, or words, `[\"make\", \"deps\"]`."))
    };
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(all)) => {
            let one = |(name, value): (&String, &Value)| match simple(value) {
                Some(command) => Ok(command.map(|command| (name.clone(), command))),
                None => Err(bad()),
            };
            let all: Vec<Option<(String, Command)>> = all.iter().map(one).collect::<Result<_>>()?;
            let all: Vec<(String, Command)> = all.into_iter().flatten().collect();
            Ok((!all.is_empty()).then_some(Command::Together(all)))
        }
        Some(value) => simple(value).ok_or_else(bad),
    }
}

/// Some(None): nothing to run. None: not a line, and not words.
fn simple(value: &Value) -> Option<Option<Command>> {
    match value {
        Value::String(line) if line.trim().is_empty() => Some(None),
        Value::String(line) => Some(Some(Command::Line(line.clone()))),
        Value::Array(words) => {
            let words: Vec<String> =
                words.iter().map(|word| word.as_str().map(str::to_owned)).collect::<Option<_>>()?;
            Some((!words.is_empty()).then_some(Command::Words(words)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn three_forms() {
        let words = |value: Value| {
            parse("k", Some(&value)).unwrap().map(|command| command.words(&|text| text.replace('X', "y")))
        };
        assert_eq!(words(json!("a X")).unwrap(), ["sh", "-c", "a y"]);
        assert_eq!(words(json!(["a", "b X"])).unwrap(), ["a", "b y"]);
        assert_eq!(
            words(json!({"one": "it's", "two": ["b"], "none": ""})).unwrap().pop().unwrap(),
            "'sh' '-c' 'it'\\''s' & p0=$!\n'b' & p1=$!\nr=0\n\
             wait $p0 || { r=$?; echo 'one failed with exit code' $r; }\n\
             wait $p1 || { r=$?; echo 'two failed with exit code' $r; }\nexit $r\n"
        );
        for nothing in [json!(null), json!(""), json!([]), json!({})] {
            assert_eq!(words(nothing), None);
        }
        for bad in [json!(1), json!(["a", 1]), json!({"a": {"b": "c"}})] {
            assert!(parse("k", Some(&bad)).is_err(), "{bad}");
        }
    }
}
