//! distrobox's manifests: `[name]`, then `key=value`. Comments begin with `#`, at a line's start or after a space. A text
//! may be quoted, and one that is given again is added to what is there.
//!
//! As distrobox has it, `init_hooks` are lines of one shell script; here they run once, when the box is made, as its root.

use super::Declared;
use crate::error::{Error, Result};

/// Texts that are taken.
const TEXTS: [&str; 9] = [
    "additional_packages",
    "exported_apps",
    "exported_bins",
    "exported_bins_path",
    "home",
    "image",
    "include",
    "init_hooks",
    "pre_init_hooks",
];

/// What distrobox knows and we do not do, and what to do instead. Switches among them may say `false`.
const REFUSED: [(&str, &str); 12] = [
    ("additional_flags", "What coracle can be told has a key of its own; leave the line out."),
    ("clone", "Name the image that the other box is made of."),
    ("entry", "Write `entry=false`, and export applications with `exported_apps`."),
    ("hostname", "A box is called by its name; leave the line out."),
    ("root", "Leave the line out: `sudo` makes you root in every box."),
    ("unshare_all", ISOLATE),
    ("unshare_devsys", ISOLATE),
    ("unshare_groups", ISOLATE),
    ("unshare_ipc", ISOLATE),
    ("unshare_netns", ISOLATE),
    ("unshare_process", ISOLATE),
    ("verbose", "Leave the line out."),
];

const ISOLATE: &str = "Leave the line out, or declare the box in a TOML file with `isolate = true`: nothing of the host's, and its own home.";

/// The boxes, in order.
pub fn parse(text: &str, home: &str) -> Result<Vec<Declared>> {
    let mut sections: Vec<(String, Vec<Line<'_>>)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = number + 1;
        let line = without_comment(line).trim();
        if line.is_empty() {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            let name =
                name.strip_suffix(']').ok_or_else(|| at(number, "there is no closing bracket"))?.trim();
            if sections.iter().any(|(other, _)| other == name) {
                return Err(at(number, format_args!("box {name} is declared twice")));
            }
            sections.push((name.to_owned(), Vec::new()));
            continue;
        }
        let (key, value) =
            line.split_once('=').ok_or_else(|| at(number, format_args!("{line:?} is no KEY=VALUE")))?;
        let Some((_, lines)) = sections.last_mut() else {
            return Err(at(number, "a key stands before the first [NAME]"));
        };
        lines.push(Line { number, key: key.trim(), value: unquoted(value.trim()) });
    }
    sections.iter().map(|(name, _)| declared(name, &sections, home)).collect()
}

struct Line<'t> {
    number: usize,
    key: &'t str,
    value: &'t str,
}

fn at(number: usize, why: impl std::fmt::Display) -> Error {
    Error::usage(format_args!("line {number}: {why}"))
}

fn declared(name: &str, sections: &[(String, Vec<Line<'_>>)], home: &str) -> Result<Declared> {
    let mut one = Declared { name: name.to_owned(), ..Declared::default() };
    let mut open = Vec::new();
    take(&mut one, name, sections, home, &mut open)?;
    if one.image.is_none() {
        return Err(Error::usage(format_args!("box {name} has no image"))
            .hint(format_args!("Add a line below [{name}]: `image=debian`.")));
    }
    Ok(one)
}

/// Takes the lines of a section, and of those that it includes.
fn take<'s>(
    one: &mut Declared,
    section: &'s str,
    sections: &'s [(String, Vec<Line<'_>>)],
    home: &str,
    open: &mut Vec<&'s str>,
) -> Result<()> {
    let Some((_, lines)) = sections.iter().find(|(name, _)| name == section) else { return Ok(()) };
    open.push(section);
    for line in lines {
        if line.key != "include" {
            set(one, line, home)?;
            continue;
        }
        if !sections.iter().any(|(name, _)| name == line.value) {
            return Err(at(line.number, format_args!("there is no [{}] to include", line.value)));
        }
        if open.contains(&line.value) {
            return Err(at(line.number, format_args!("[{}] includes itself", line.value)));
        }
        take(one, line.value, sections, home, open)?;
    }
    open.pop();
    Ok(())
}

fn set(one: &mut Declared, line: &Line<'_>, home: &str) -> Result<()> {
    let value = line.value;
    let words = || value.split_whitespace().map(str::to_owned);
    match line.key {
        "image" => one.image = Some(value.to_owned()),
        "additional_packages" => one.packages.extend(words()),
        "volume" => one.volumes.extend(words().map(|word| expanded(&word, home))),
        "init_hooks" => add(&mut one.after, value),
        "pre_init_hooks" => add(&mut one.before, value),
        "exported_apps" => one.applications.extend(words()),
        "exported_bins" => one.programs.extend(words()),
        "exported_bins_path" if expanded(value, home) == format!("{home}/.local/bin") => {}
        "exported_bins_path" => {
            return Err(at(line.number, format_args!("exported_bins_path={value} is not supported"))
                .hint("Programs are exported to ~/.local/bin; leave the line out."));
        }
        "home" if ["host", "own", "overlay"].contains(&value) => one.home = Some(value.to_owned()),
        "home" => {
            return Err(at(
                line.number,
                format_args!("home={value} is not supported: a box has the host's home or one of its own"),
            )
            .hint("Write `home=own`: it is at the usual path, and kept with the box."));
        }
        "nvidia" => one.gpus = if switch(line)? { vec!["all".to_owned()] } else { Vec::new() },
        "init" => one.init = switch(line)?,
        "pull" => one.pull = switch(line)?,
        "replace" => one.replace = switch(line)?,
        "start_now" => one.start = switch(line)?,
        key => match REFUSED.iter().find(|(name, _)| *name == key) {
            // What is switched off is as it is here.
            Some(_) if matches!(switch(line), Ok(false)) => {}
            Some((_, hint)) => {
                return Err(at(line.number, format_args!("{key}={value} is not supported")).hint(hint));
            }
            None => {
                return Err(at(line.number, format_args!("there is no key {key:?}")).hint(format_args!(
                    "The keys are {}, volume, init, nvidia, pull, replace and start_now.",
                    TEXTS.join(", ")
                )));
            }
        },
    }
    Ok(())
}

fn switch(line: &Line<'_>) -> Result<bool> {
    match line.value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(at(line.number, format_args!("{}={other} is neither true nor false", line.key))),
    }
}

/// A line of a script. The next one follows where this one failed, if it ends in `;`, and otherwise not.
fn add(script: &mut String, line: &str) {
    script.push_str(line);
    script.push('\n');
}

/// `$HOME`, `${HOME}` and a leading `~`.
fn expanded(text: &str, home: &str) -> String {
    let text = text.replace("${HOME}", home).replace("$HOME", home);
    match text.strip_prefix("~/") {
        Some(rest) => format!("{home}/{rest}"),
        None => text,
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\''].iter().find_map(|q| value.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(value)
}

/// What stands in front of a `#` that is the first of its line, or follows a space, outside quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() || before == ']' => return line.get(..at).unwrap_or(""),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    // A quote that is not closed is a letter: `it's  # a comment`.
    match quote {
        Some(_) => line.split(" #").next().unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_as_distrobox_documents_it() {
        let text = "# mine\n[ubuntu]\nadditional_packages=\"git vim\"\nadditional_packages=\"htop\"\nimage=ubuntu:latest\n\
            init=false\nnvidia=false\nroot=0\nreplace=true # again\nvolume=\"~/a:/a ${HOME}/b:/b:ro\"\n\
            [arch] # another\nimage=arch\ninit_hooks=\"touch /a # kept\"\ninit_hooks=touch /b;\nexported_bins=\"/usr/bin/htop\"\n\
            exported_bins_path=\"~/.local/bin\"\nstart_now=true\n[third]\ninclude=ubuntu\nimage=x\nreplace=false\ninit=true\n";
        let boxes = parse(text, "/h").unwrap();
        let [ubuntu, arch, third] = boxes.as_slice() else { panic!("{boxes:?}") };
        assert_eq!((ubuntu.name.as_str(), ubuntu.image.as_deref()), ("ubuntu", Some("ubuntu:latest")));
        assert_eq!(ubuntu.packages, ["git", "vim", "htop"]);
        assert_eq!(ubuntu.volumes, ["/h/a:/a", "/h/b:/b:ro"]);
        assert!(ubuntu.replace && !ubuntu.start && !ubuntu.init && third.init);
        assert_eq!(arch.after, "touch /a # kept\ntouch /b;\n");
        assert!(arch.start && arch.programs == ["/usr/bin/htop"]);
        assert_eq!((third.image.as_deref(), third.packages.len(), third.replace), (Some("x"), 3, false));
    }

    #[test]
    fn what_is_not_done_is_refused_by_its_line() {
        for (line, why) in [
            ("root=true", "line 3: root=true is not supported"),
            ("additional_flags=\"--cap-add all\"", "line 3: additional_flags=--cap-add all is not supported"),
            ("home=/tmp/x", "line 3: home=/tmp/x is not supported"),
            ("pull=maybe", "line 3: pull=maybe is neither"),
            ("colour=red", "line 3: there is no key \"colour\""),
            ("red", "line 3: \"red\" is no KEY=VALUE"),
            ("include=a", "line 3: [a] includes itself"),
            ("include=b", "line 3: there is no [b]"),
            ("[a]", "line 3: box a is declared twice"),
            ("[b", "line 3: there is no closing"),
            ("exported_bins_path=/opt", "line 3: exported_bins_path=/opt"),
        ] {
            let error = parse(&format!("[a]\nimage=x\n{line}\n"), "/h").unwrap_err();
            assert!(error.what().starts_with(why), "{error:?}");
        }
        assert!(parse("image=x\n", "/h").is_err());
        assert!(parse("[a]\n", "/h").is_err());
    }
}
