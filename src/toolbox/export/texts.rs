//! What an exported program is on the host: a shell script that calls coracle, and for applications a menu entry that
//! calls one. Pure.
//!
//! The second line of a script and two keys of an entry say what it is: there is no list beside the files themselves.
//! A script finds coracle where it was, else in PATH, so that a move of coracle does not break it.

/// What the mark of a script says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub of_box: String,
    /// Path in the box; none: for the menu entries of this box, which name the program themselves.
    pub program: Option<String>,
}

const MARK: &str = "# Exported by `coracle toolbox export`: ";
const ASSIGNMENT: &str = "coracle=";
const BOX_KEY: &str = "X-Coracle-Box=";
const APP_KEY: &str = "X-Coracle-App=";

/// The script. `coracle` is where it is now, `flags` what it needs to find the box (`--root DIR`).
pub fn script(mark: &Mark, coracle: &str, flags: &[String]) -> String {
    let program = mark.program.as_deref();
    let mut text = format!("#!/bin/sh\n{MARK}{} {}\n", mark.of_box, program.unwrap_or("-"));
    if let Some(program) = program {
        // Whoever is in a box has the home's scripts, too, and means the program there.
        text += &format!("[ ! -e /run/.toolboxenv ] || exec {} \"$@\"\n", quoted(program));
    }
    let flags: String = flags.iter().map(|flag| format!("{} ", quoted(flag))).collect();
    let program = program.map(|program| format!("{} ", quoted(program))).unwrap_or_default();
    text += &format!(
        "{ASSIGNMENT}{}\n[ -x \"$coracle\" ] || coracle=coracle\nexec \"$coracle\" {flags}toolbox run {} {program}\"$@\"\n",
        quoted(coracle),
        quoted(&mark.of_box),
    );
    text
}

/// The mark of a script; none: it is not one of ours.
pub fn mark(script: &str) -> Option<Mark> {
    let (of_box, program) = script.lines().nth(1)?.strip_prefix(MARK)?.split_once(' ')?;
    let program = Some(program).filter(|program| *program != "-").map(str::to_owned);
    Some(Mark { of_box: of_box.to_owned(), program })
}

/// Where a script looks for coracle first.
pub fn coracle_of(script: &str) -> Option<String> {
    let value = script.lines().find_map(|line| line.strip_prefix(ASSIGNMENT))?;
    Some(value.strip_prefix('\'')?.strip_suffix('\'')?.replace("'\\''", "'"))
}

/// The same script with another coracle.
pub fn with_coracle(script: &str, coracle: &str) -> String {
    let line = |line: &str| match line.strip_prefix(ASSIGNMENT) {
        Some(_) => format!("{ASSIGNMENT}{}\n", quoted(coracle)),
        None => format!("{line}\n"),
    };
    script.lines().map(line).collect()
}

/// For sh.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// Keys of an entry that are copied, in each language that they are given in. What else there is could start something on the
/// host, for one desktop or the other.
const COPIED: [&str; 18] = [
    "Version",
    "Type",
    "Name",
    "GenericName",
    "NoDisplay",
    "Comment",
    "Icon",
    "Hidden",
    "OnlyShowIn",
    "NotShowIn",
    "Terminal",
    "Actions",
    "MimeType",
    "Categories",
    "Keywords",
    "StartupNotify",
    "StartupWMClass",
    "SingleMainWindow",
];

/// The menu entry of `app` (its path in the box), as the host has it: started by `launcher`, named after the box. None: what it
/// starts cannot be read.
pub fn entry(text: &str, of_box: &str, app: &str, launcher: &str) -> Option<String> {
    let mut out = String::new();
    let (mut known, mut main) = (false, false);
    // Desktops do not mind blanks around a line.
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            main = line == "[Desktop Entry]";
            known = main || line.starts_with("[Desktop Action ");
            if known {
                out += &format!("{line}\n");
            }
            if main {
                out += &format!("{BOX_KEY}{of_box}\n{APP_KEY}{app}\n");
            }
            continue;
        }
        let Some((key, value)) = line.split_once('=').filter(|_| known) else { continue };
        let (key, value) = (key.trim_end(), value.trim_start());
        if key == "Exec" {
            let words = words(value)?;
            let words = words
                .iter()
                .map(|word| format!(" {}", if is_plain(word) { word.clone() } else { in_exec(word) }));
            out += &format!("Exec={}{}\n", in_exec(&launcher.replace('%', "%%")), words.collect::<String>());
        } else if is_copied(key) {
            let name = main && key.split('[').next() == Some("Name");
            out += &match name {
                true => format!("{key}={value} ({of_box})\n"),
                false => format!("{key}={value}\n"),
            };
        }
    }
    Some(out)
}

fn is_copied(key: &str) -> bool {
    let (name, language) = key.split_once('[').unwrap_or((key, "en]"));
    let of_language = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    COPIED.contains(&name) && language.strip_suffix(']').is_some_and(|l| l.chars().all(of_language))
}

/// The words of the key Exec. Desktops differ in what they take quotes for, and some give all to a shell when they meet what
/// a shell would mean something by: the words are read as a shell reads them, and written as all understand them.
fn words(value: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let text = unescaped(value);
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (None, ' ' | '\t' | '\n' | '\r') => words.extend(word.take()),
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), c) if c == open => quote = None,
            (None, '\\') => word.get_or_insert_default().push(rest.next()?),
            (Some('"'), '\\') => {
                let next = rest.next()?;
                let word = word.get_or_insert_default();
                if !"\"\\$`".contains(next) {
                    word.push(c);
                }
                word.push(next);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    let printable = words.iter().all(|word| !word.contains(char::is_control));
    (quote.is_none() && printable).then_some(words)
}

/// A value of type string without its escapes.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, rest.clone().next()) {
            ('\\', Some(next @ ('s' | 'n' | 't' | 'r' | '\\'))) => {
                rest.next();
                out.push(match next {
                    's' => ' ',
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other => other,
                });
            }
            _ => out.push(c),
        }
    }
    out
}

/// A word that needs no quotes anywhere, with field codes (`%F`) in it.
fn is_plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_./:,+@%=-".contains(c))
}

/// A word of the key Exec (Desktop Entry Specification, "The Exec key").
fn in_exec(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => out += &format!("\\\\{c}"),
            '\\' => out += "\\\\\\\\",
            c => out.push(c),
        }
    }
    out + "\""
}

/// Box and application of an entry of ours.
pub fn origin(entry: &str) -> Option<(String, String)> {
    let get = |key| entry.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    Some((get(BOX_KEY)?, get(APP_KEY)?))
}

/// A value of an entry's main group.
pub fn value<'t>(entry: &'t str, key: &str) -> Option<&'t str> {
    let main = entry.lines().skip_while(|line| line.trim_end() != "[Desktop Entry]").skip(1);
    let mut main = main.take_while(|line| !line.starts_with('['));
    main.find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_what_it_is_and_where_coracle_was() {
        let of = Mark { of_box: "dev".into(), program: Some("/opt/it's".into()) };
        let text = script(&of, "/a b/coracle", &["--root".to_owned(), "/r".to_owned()]);
        assert_eq!(mark(&text), Some(of));
        assert_eq!(coracle_of(&text).as_deref(), Some("/a b/coracle"));
        assert!(text.ends_with("exec \"$coracle\" '--root' '/r' toolbox run 'dev' '/opt/it'\\''s' \"$@\"\n"));
        let moved = with_coracle(&text, "/c'd");
        assert_eq!(coracle_of(&moved).as_deref(), Some("/c'd"));
        assert_eq!(with_coracle(&moved, "/a b/coracle"), text);
        let launcher = Mark { of_box: "dev".into(), program: None };
        assert_eq!(mark(&script(&launcher, "/c", &[])), Some(launcher));
        assert_eq!(mark("#!/bin/sh\necho mine\n"), None);
    }

    #[test]
    fn an_entry_starts_the_program_in_the_box() {
        let text = "# x\n[Desktop Entry]\nName=Edit\nName[de]=Schreib\nTryExec=edit\nExec=edit %F\nIcon=edit\n\
                    [Desktop Action new]\nName=New\nExec=edit --new\n";
        let made = entry(text, "dev", "/usr/share/applications/edit.desktop", "/h/$x/dev").unwrap();
        assert_eq!(
            made,
            "[Desktop Entry]\nX-Coracle-Box=dev\nX-Coracle-App=/usr/share/applications/edit.desktop\n\
             Name=Edit (dev)\nName[de]=Schreib (dev)\nExec=\"/h/\\\\$x/dev\" edit %F\nIcon=edit\n\
             [Desktop Action new]\nName=New\nExec=\"/h/\\\\$x/dev\" edit --new\n"
        );
        assert_eq!(
            origin(&made),
            Some(("dev".to_owned(), "/usr/share/applications/edit.desktop".to_owned()))
        );
        assert_eq!((value(&made, "Icon"), value(&made, "Terminal")), (Some("edit"), None));
    }

    #[test]
    fn nothing_of_an_entry_starts_anything_on_the_host() {
        let made = |text: &str| entry(&format!("[Desktop Entry]\n{text}"), "b", "/a", "/l");
        let marked = "[Desktop Entry]\nX-Coracle-Box=b\nX-Coracle-App=/a\n";
        for text in
            ["X-Exec=x", "Exec[$e]=x", "Exec[de]=x", "Name[$e]=$(x)", "TryExec=x", "[Other]\nExec=x", "Exec"]
        {
            assert_eq!(made(text).as_deref(), Some(marked), "{text}");
        }
        assert_eq!(made(" \t Exec =x"), Some(format!("{marked}Exec=\"/l\" x\n")));
        assert_eq!(
            made(r#"Exec=a; "b c" 'd$e' `f` --g=%F "\\$h\\\\" \s|"#),
            Some(format!(r#"{marked}Exec="/l" "a;" "b c" "d\\$e" "\\`f\\`" --g=%F "\\$h\\\\" "|""#) + "\n")
        );
        for text in ["Exec=\"a", "Exec=a '", r"Exec=a \\", r"Exec=a \\\n"] {
            assert_eq!(made(text), None, "{text}");
        }
    }
}
