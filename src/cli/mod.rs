//! The command line: parse, call the engine, print. No decisions about containers, no formats on disk.
//!
//! `main` walks over global flags to the subcommand and builds clap's definition of that command alone (`tree`). stdout is
//! data, stderr is talk, and only `ui` writes to them. Exit codes are podman's: 125 for coracle's own failures (and what
//! `Error::exit_code` says), 126 and 127 for the payload's command, else the payload's.

mod app;
pub mod attach;
pub mod bundle;
pub mod completion;
pub mod config;
pub mod container;
pub mod cp;
pub mod create;
pub mod doctor;
pub mod exec;
pub mod export;
pub mod fanout;
pub mod filter;
pub mod flags;
pub mod format;
pub mod global;
pub mod history;
pub mod host;
pub mod image;
pub mod images;
pub mod info;
pub mod inspect;
pub mod kill;
pub mod load;
pub mod login;
pub mod logout;
pub mod logs;
pub mod oci;
pub mod parse;
pub mod pause;
pub mod port;
pub mod ps;
pub mod pull;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod slurm;
pub mod start;
pub mod stop;
pub mod suggest;
pub mod system;
pub mod table;
pub mod tag;
pub mod toolbox;
pub mod top;
pub mod tree;
pub mod ui;
pub mod unpause;
pub mod unshare;
pub mod untag;
pub mod update;
mod usage;
pub mod version;
pub mod volume;
pub mod wait;

pub use app::App;

use crate::error::{Error, Result};
use clap::FromArgMatches;
use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;
use tree::Node;

/// Runs the command line, `args` without the program's name, and gives the exit code.
pub fn main(args: Vec<OsString>) -> u8 {
    dispatch(&args).unwrap_or_else(|error| ui::error(&error))
}

/// Prints an error from before the command line, and gives its exit code.
pub fn fail(error: &Error) -> u8 {
    ui::error(error)
}

fn dispatch(args: &[OsString]) -> Result<u8> {
    let words: Vec<String> = args
        .iter()
        .map(|arg| arg.to_str().map(str::to_owned))
        .collect::<Option<_>>()
        .ok_or_else(|| Error::usage("an argument is not valid UTF-8"))?;
    let at = before_command(&words)?;
    let (global_words, command_words) = words.split_at(at);
    let globals = global_flags(global_words)?;
    if let Some(done) = top_level(global_words, command_words)? {
        return Ok(done);
    }
    let (taken, node) = tree::find(command_words)
        .ok_or_else(|| usage::unknown_command(command_words, tree::NODES, "coracle"))?;
    let path = format!("coracle {}", command_words.get(..taken).unwrap_or_default().join(" "));
    let rest = command_words.get(taken..).unwrap_or_default();
    let leaf = match node {
        Node::Leaf(leaf) => leaf,
        Node::Group { nodes, .. } => return group(node, nodes, rest, &path),
    };
    let build = || (leaf.command)().name(path.clone()).bin_name(path.clone()).display_name(path.clone());
    let command = build();
    let words_of_command = tree::end_flags(&command, rest);
    let takes_modules = command.get_arguments().any(|arg| arg.get_id() == "module");
    // Never dropped: to free a hundred flags one by one takes as long as to make them.
    let mut relaxed = ManuallyDrop::new(tree::relax(command));
    let matches = match relaxed.try_get_matches_from_mut(&words_of_command) {
        Ok(matches) => matches,
        Err(e) if e.kind() == clap::error::ErrorKind::DisplayHelp => return help(build(), rest),
        Err(e) => return Err(usage::error(&e, &path, rest)),
    };
    let command_line = args.get(at..).unwrap_or_default().to_vec();
    let mut app = App { globals, argv: argv(&words), command: command_line, dirs: OnceLock::new() };
    if let Ok(later) = global::Globals::from_arg_matches(&matches) {
        app.globals.merge(later);
    }
    app.globals.apply()?;
    // Not `try_get_many` for this: clap knows an argument that is none from one that was not given in debug builds only.
    let expanded = match takes_modules {
        true => flags::modules::expand(&app, build, &matches, &words_of_command)?,
        false => None,
    };
    (leaf.run)(&expanded.unwrap_or(matches), &app)
}

/// How many words stand before the subcommand.
fn before_command(words: &[String]) -> Result<usize> {
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if !word.starts_with('-') || word == "-" {
            break;
        }
        if let Some(refused) = global::refused(word) {
            return Err(refused);
        }
        at += if global::takes_value(word) { 2 } else { 1 };
    }
    Ok(at.min(words.len()))
}

fn global_flags(words: &[String]) -> Result<global::Globals> {
    let ours: Vec<&String> =
        words.iter().filter(|w| !matches!(w.as_str(), "-h" | "--help" | "-v" | "--version")).collect();
    if ours.is_empty() {
        return Ok(global::Globals::default());
    }
    let matches = tree::relax(clap::Command::new("coracle"))
        .try_get_matches_from(ours)
        .map_err(|e| usage::error(&e, "coracle", words))?;
    global::Globals::from_arg_matches(&matches).map_err(|e| usage::error(&e, "coracle", words))
}

/// `--help`, `--version`, `help [COMMAND]`, and nothing at all.
fn top_level(global_words: &[String], command_words: &[String]) -> Result<Option<u8>> {
    let given = |names: [&str; 2]| global_words.iter().any(|w| names.contains(&w.as_str()));
    if given(["-h", "--help"]) {
        return help(tree::document(), global_words).map(Some);
    }
    if given(["-v", "--version"]) {
        ui::line(version::line())?;
        return Ok(Some(0));
    }
    match command_words {
        [] => Err(Error::usage("missing command").hint("List the commands with `coracle --help`.")),
        [word] if word == "help" => help(tree::document(), global_words).map(Some),
        [word, of @ ..] if word == "help" => match tree::find(of) {
            Some((taken, node)) if taken == of.len() => {
                let path = format!("coracle {}", of.join(" "));
                help(node.document().bin_name(path.clone()).display_name(path), global_words).map(Some)
            }
            _ => Err(usage::unknown_command(of, tree::NODES, "coracle")),
        },
        _ => Ok(None),
    }
}

/// A group without (or with an unknown) command of it.
fn group(node: &'static Node, nodes: &'static [Node], rest: &[String], path: &str) -> Result<u8> {
    match rest.first().map(String::as_str) {
        Some("-h" | "--help" | "help") => help(node.document().bin_name(path.to_owned()), rest),
        Some(_) => Err(usage::unknown_command(rest, nodes, path)),
        None => Err(Error::usage(format_args!("missing command after {path}"))
            .hint(format_args!("List the commands with `{path} --help`."))),
    }
}

/// Help on stdout: short for `-h`, long for `--help`.
fn help(mut command: clap::Command, words: &[String]) -> Result<u8> {
    let text =
        if words.iter().any(|w| w == "-h") { command.render_help() } else { command.render_long_help() };
    ui::out(&text.to_string())?;
    Ok(0)
}

fn argv(words: &[String]) -> Vec<String> {
    std::iter::once("coracle".to_owned()).chain(words.iter().cloned()).collect()
}
