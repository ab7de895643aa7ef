//! clap's errors and unknown commands in coracle's own form: what is wrong, and where to read more.

use crate::cli::tree::Node;
use crate::cli::{flags, suggest};
use crate::error::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A failed parse of the command at `path`; `words` are its arguments.
pub fn error(e: &clap::Error, path: &str, words: &[String]) -> Error {
    let text = |kind| match e.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(all)) => Some(all.join(", ")),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg).unwrap_or_default();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let see = format!("Run `{path} --help`.");
    match e.kind() {
        ErrorKind::UnknownArgument => {
            let flag = arg.split_once('=').map_or(arg.as_str(), |(name, _)| name);
            if let Some(error) = flags::unsupported::find(path, flag) {
                return error;
            }
            if !flag.starts_with('-') {
                return Error::usage(format_args!("unexpected argument {flag:?}")).hint(see);
            }
            let short = !flag.starts_with("--");
            let error = Error::usage(if short {
                format!("unknown shorthand flag: {flag}")
            } else {
                format!("unknown flag: {flag}")
            });
            // clap's idea of similar is generous.
            let word = flag.trim_start_matches('-');
            let near =
                |near: &str| suggest::nearest(word, [near.trim_start_matches('-')].into_iter()).is_some();
            match text(ContextKind::SuggestedArg).filter(|suggested| near(suggested)) {
                Some(near) => error.hint(format_args!("Did you mean {near}? {see}")),
                None => error.hint(see),
            }
        }
        ErrorKind::MissingRequiredArgument => {
            Error::usage(format_args!("{path} wants an argument: {}", wanted(&arg))).hint(see)
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            Error::usage(format_args!("flag {} needs a value", flag_of(&arg))).hint(see)
        }
        ErrorKind::InvalidValue => {
            let error = Error::usage(format_args!("invalid value {value:?} for {}", flag_of(&arg)));
            match text(ContextKind::ValidValue) {
                Some(valid) => error.hint(format_args!("Use one of {valid}.")),
                None => error.hint(see),
            }
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(e).map(ToString::to_string).unwrap_or_default();
            Error::usage(format_args!("invalid value {value:?} for {}: {why}", flag_of(&arg))).hint(see)
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            Error::usage(format_args!("{} cannot be combined with {}", flag_of(&arg), flag_of(&other)))
                .hint(see)
        }
        ErrorKind::NoEquals => {
            Error::usage(format_args!("flag {} wants its value after `=`", flag_of(&arg))).hint(see)
        }
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            Error::usage(format_args!("wrong number of arguments: {}", words.join(" "))).hint(see)
        }
        _ => {
            let first = e.to_string();
            let first = first.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            Error::usage(first).hint(see)
        }
    }
}

/// `<NAME>...` → `NAME`; a flag stays as it is typed.
fn wanted(arg: &str) -> &str {
    match arg.trim() {
        flag if flag.starts_with('-') => flag,
        name => name.trim_end_matches("...").trim_matches(['<', '>']),
    }
}

/// `--name <NAME>` → `--name`.
fn flag_of(arg: &str) -> &str {
    arg.split([' ', '=', '[']).next().unwrap_or(arg)
}

/// `coracle rnu`.
pub fn unknown_command(words: &[String], nodes: &'static [Node], path: &str) -> Error {
    let word = words.first().map_or("", String::as_str);
    if let Some(error) = flags::unsupported::command(path, word) {
        return error;
    }
    let error = Error::usage(format_args!("unknown command {word:?} for {path:?}"));
    let names = nodes.iter().map(Node::name);
    match suggest::nearest(word, names) {
        Some(near) => error.hint(format_args!("Did you mean `{path} {near}`?")),
        None => error.hint(format_args!("List the commands with `{path} --help`.")),
    }
}
