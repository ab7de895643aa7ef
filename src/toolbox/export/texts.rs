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

/// The menu entry of `app` (its path in the box), as the host has it: started by `launcher`, named after the box.
pub fn entry(text: &str, of_box: &str, app: &str, launcher: &str) -> String {
    let mut out = String::new();
    let mut main = false;
    for line in text.lines() {
        let key = line.split_once('=').map_or("", |(key, _)| key.trim_end());
        let value = line.split_once('=').map_or("", |(_, value)| value.trim_start());
        match key {
            // What they speak of is in the box.
            "TryExec" | "DBusActivatable" | "Path" => continue,
            "Exec" => out += &format!("Exec={} {value}\n", in_exec(launcher)),
            _ if main && (key == "Name" || key.starts_with("Name[")) => {
                out += &format!("{key}={value} ({of_box})\n");
            }
            _ => out += &format!("{line}\n"),
        }
        if line.starts_with('[') {
            main = line.trim_end() == "[Desktop Entry]";
            if main {
                out += &format!("{BOX_KEY}{of_box}\n{APP_KEY}{app}\n");
            }
        }
    }
    out
}

/// A word of the key Exec (Desktop Entry Specification, "The Exec key").
fn in_exec(word: &str) -> String {
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '`' | '$' => out += &format!("\\\\{c}"),
            '\\' => out += "\\\\\\\\",
            '%' => out += "%%",
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
        let made = entry(text, "dev", "/usr/share/applications/edit.desktop", "/h/$x/dev");
        assert_eq!(
            made,
            "# x\n[Desktop Entry]\nX-Coracle-Box=dev\nX-Coracle-App=/usr/share/applications/edit.desktop\n\
             Name=Edit (dev)\nName[de]=Schreib (dev)\nExec=\"/h/\\\\$x/dev\" edit %F\nIcon=edit\n\
             [Desktop Action new]\nName=New\nExec=\"/h/\\\\$x/dev\" edit --new\n"
        );
        assert_eq!(
            origin(&made),
            Some(("dev".to_owned(), "/usr/share/applications/edit.desktop".to_owned()))
        );
        assert_eq!((value(&made, "Icon"), value(&made, "Terminal")), (Some("edit"), None));
    }
}
