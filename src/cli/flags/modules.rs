//! `--module NAME`: a site module (`config::modules`) as the flags that it stands for, before those that were typed: what is
//! typed stands above it.
//!
//! What podman-hpc copies into a container is mounted read-only here: the same bytes, and nothing is copied at each start. A
//! device is given as by `--device`. A source is a path of this machine; `$NAME` in it is a variable of the caller's, and
//! `*` in its last part any text: then each file that there is, at its own name below the target, perhaps none.

use crate::cli::{App, parse, tree, usage};
use crate::config::modules::{self, Module};
use crate::config::site::Site;
use crate::config::{pattern, variables};
use crate::error::{Context, Error, Result};
use crate::sys::CallContext;
use clap::ArgMatches;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

type Environment = BTreeMap<String, String>;

/// The matches of `words` with the flags of the modules in front; `None`: there are no modules. `build`: the command, which has
/// `--module`.
pub fn expand(
    app: &App,
    build: impl Fn() -> clap::Command,
    matches: &ArgMatches,
    words: &[String],
) -> Result<Option<ArgMatches>> {
    let mut names: Vec<String> = Site::load()?.modules;
    names.extend(matches.get_many::<String>("module").into_iter().flatten().cloned());
    if names.is_empty() {
        return Ok(None);
    }
    let command = build();
    let is_hpc = matches.get_one::<bool>("hpc") == Some(&true);
    let modules = modules::load(&app.dirs()?, &names)?;
    let env = parse::env::host();
    let (mut flags, mut places) = (Vec::new(), BTreeSet::new());
    for module in &modules {
        let what = || format!("cannot use module {}", module.name);
        flags.extend(said(module, &command, is_hpc).what(what)?);
        flags.extend(module.env.iter().map(|name| format!("--env={name}=1")));
        let files = module.copy.iter().flatten().map(|text| (text, true));
        for (text, copied) in files.chain(module.bind.iter().flatten().map(|text| (text, false))) {
            for (source, target) in sources(module, text, &env).what(what)? {
                // Two modules may ask for the same directory.
                if places.insert(target.clone()) {
                    flags.push(flag(&source, &target, copied).what(what)?);
                }
            }
        }
    }
    let all: Vec<String> = flags.iter().chain(words).cloned().collect();
    let parsed = tree::relax(build()).try_get_matches_from(&all);
    Ok(Some(parsed.map_err(|e| usage::error(&e, command.get_name(), words))?))
}

fn bad(module: &Module, why: impl std::fmt::Display) -> Error {
    Error::corrupt(format_args!("{}: {why}", module.file.display()))
        .hint(format_args!("Correct the file, or leave out --module {}.", module.name))
}

/// Its `additional_args`, each as one word.
fn said(module: &Module, command: &clap::Command, is_hpc: bool) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    for text in module.additional_args.iter().flatten() {
        let text = text.trim();
        let word = one_word(text);
        // You are yourself already.
        if is_hpc && word == "--userns=keep-id" {
            continue;
        }
        let is_flag = word.starts_with('-') && !word.trim_matches('-').is_empty();
        if !is_flag || word.starts_with("--module") || tree::value_follows(command, &word) {
            return Err(bad(module, format_args!("additional_args: {text:?} is not a flag with its value")));
        }
        let alone = [word.clone(), "--".to_owned(), "image".to_owned()];
        // What other flags must be there is not its business.
        if let Err(e) = tree::relax(command.clone()).try_get_matches_from(alone)
            && e.kind() != clap::error::ErrorKind::MissingRequiredArgument
        {
            let why = usage::error(&e, command.get_name(), &[]);
            return Err(bad(module, format_args!("additional_args: {text:?}: {}", why.what())));
        }
        flags.push(word);
    }
    Ok(flags)
}

/// `-e SLURM_*` → `-eSLURM_*`, `--ipc host` → `--ipc=host`.
fn one_word(text: &str) -> String {
    match text.split_once(char::is_whitespace) {
        Some((flag, value)) if flag.starts_with("--") && !flag.contains('=') => {
            format!("{flag}={}", value.trim_start())
        }
        Some((flag, value)) if !flag.starts_with("--") => format!("{flag}{}", value.trim_start()),
        _ => text.to_owned(),
    }
}

/// The pairs of paths that `SOURCE:TARGET` stands for.
fn sources(module: &Module, text: &str, env: &Environment) -> Result<Vec<(PathBuf, String)>> {
    let wrong = || bad(module, format_args!("{text:?} is not SOURCE:TARGET"));
    let (source, target) =
        text.split_once(':').filter(|(s, t)| !s.is_empty() && !t.is_empty()).ok_or_else(wrong)?;
    if target.contains(':') {
        return Err(wrong());
    }
    let source = variables::expand(source, |name| env.get(name))
        .map_err(|name| bad(module, format_args!("{text:?}: the variable {name} is not set")))?;
    // A target without its slash is one of podman-hpc's own examples.
    let target = format!("/{}", target.trim_start_matches('/'));
    let source = module.file.parent().unwrap_or(Path::new("/")).join(source);
    if !source.to_string_lossy().contains('*') {
        return Ok(vec![(source, target)]);
    }
    let found = matching(&source).ok_or_else(|| {
        bad(module, format_args!("{text:?}: `*` may stand in the last part of a path only"))
    })?;
    // `/dev/`, `/dev`, `/dev/*` and `/dev/cxi*` are the same place.
    let dir = match target.rsplit_once('/') {
        Some((dir, last)) if last.contains('*') => dir,
        _ => target.trim_end_matches('/'),
    };
    let place = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((path, format!("{dir}/{name}")))
    };
    Ok(found.into_iter().filter_map(place).collect())
}

/// `None`: the pattern is none that is understood.
fn matching(pattern: &Path) -> Option<Vec<PathBuf>> {
    let (dir, last) = (pattern.parent()?, pattern.file_name()?.to_str()?);
    if dir.to_string_lossy().contains('*') {
        return None;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is = |entry: &std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| pattern::matches(last, name))
    };
    let mut found: Vec<PathBuf> = entries.filter(is).map(|entry| entry.path()).collect();
    found.sort();
    Some(found)
}

/// The flag that gives it.
fn flag(source: &Path, target: &str, copied: bool) -> Result<String> {
    let kind = std::fs::metadata(source)
        .call(|| format!("stat({source:?})"))
        .hint(|| "Use it on a machine that has this file, or ask the administrator to correct the module.")?
        .file_type();
    let text = source.to_str().filter(|text| !text.contains(':'));
    let text = text.ok_or_else(|| {
        Error::usage(format_args!("{source:?}: its name has a colon, and a mount cannot be written with one"))
            .hint("Give it a name without one, or a pattern that leaves it out.")
    })?;
    if kind.is_char_device() || kind.is_block_device() {
        return Ok(format!("--device={text}:{target}:rwm"));
    }
    let options = if copied { "ro,rprivate" } else { "rbind,rprivate" };
    Ok(format!("--volume={text}:{target}:{options}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_podman_hpc_are_flags() {
        for (text, word) in [
            ("-e SLURM_*", "-eSLURM_*"),
            ("-e NCCL_NET=\"AWS Libfabric\"", "-eNCCL_NET=\"AWS Libfabric\""),
            ("--ipc host", "--ipc=host"),
            ("--env=A=b c", "--env=A=b c"),
            ("--privileged", "--privileged"),
        ] {
            assert_eq!(one_word(text), word);
        }
    }
}
