//! The architecture, checked: who may import whom, what a file looks like, where unsafe and processes live.
//!
//! [`LAYERS`] is the rule itself: a new arrow between modules is a new word there, and needs an argument in the commit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module, and those it may import. Top down: a module only imports from rows below its own.
const LAYERS: &[(&str, &str)] = &[
    // Talks to people. `cli::oci` is the runtime's command line: the only part that knows `runtime`, `cgroup`, `caps`.
    (
        "cli",
        "toolbox engine monitor store registry host runtime userns network cgroup caps spec ondisk external config paths id error sys",
    ),
    // What runs in a box (`toolbox::inside`) is part of `coracle-oci`.
    ("toolbox", "engine monitor userns host ondisk external paths id error sys"),
    // Puts the rest together.
    (
        "engine",
        "host monitor store registry network seccomp userns cgroup caps spec ondisk external config paths id error sys",
    ),
    ("host", "network userns cgroup external config paths id error sys"),
    // `store`: only the rootfs driver, which mounts in the monitor's namespace. Never `registry`, never `runtime`.
    ("monitor", "store network userns cgroup ondisk external config paths id error sys"),
    // Works from a bundle and an id: no images, names, registries, networks.
    ("runtime", "seccomp userns cgroup caps spec ondisk external id error sys"),
    // Joined by `engine`: a store knows no registry, and a registry no store.
    ("store", "userns spec ondisk external config paths id error sys"),
    ("registry", "spec external config paths id error sys"),
    ("network", "ondisk external config paths id error sys"),
    ("ondisk", "userns id error sys"),
    ("userns", "external config paths id error sys"),
    ("cgroup", "external paths id error sys"),
    ("external", "config paths id error sys"),
    ("seccomp", "spec error"),
    ("spec", "caps id error sys"),
    ("caps", "error sys"),
    ("config", "paths id error sys"),
    ("paths", "id error sys"),
    ("id", "error sys"),
    ("error", "sys"),
    ("sys", ""),
];

/// Drawers that everything falls into. A helper of two modules gets a name and a home.
const FORBIDDEN_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "tools", "stuff"];

/// A longer file is two files, by responsibility. Tables of data are exempt.
const LONGEST_FILE: usize = 550;
const TABLES: &[&str] = &["src/seccomp/table.rs"];

/// What allocates, panics or talks: nothing of it after clone.
const NOT_AFTER_CLONE: &[&str] = &[
    "String",
    "Vec<",
    "Vec::",
    "vec!",
    "Box<",
    "Box::",
    "Rc<",
    "Arc<",
    "HashMap",
    "BTreeMap",
    "CString::new",
    "format!",
    ".to_string()",
    ".to_owned()",
    ".to_vec()",
    ".collect(",
    ".unwrap()",
    ".expect(",
    "panic!",
    "println!",
    "std::fs",
    "std::env",
    "std::io::Write",
    "std::thread",
    "Mutex",
    "std::process",
];

/// A source file without its comments, its strings' contents, and its `#[cfg(test)]` end.
#[derive(Debug)]
struct Source {
    /// Relative to the project.
    path: String,
    text: String,
    code: String,
}

impl Source {
    /// The first name below src/.
    fn module(&self) -> &str {
        let rest = self.path.strip_prefix("src/").unwrap_or("");
        rest.split(['/', '.']).next().unwrap_or("")
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }
}

fn project() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(below: &str) -> Vec<Source> {
    let root = project();
    let mut found = Vec::new();
    let mut pending = vec![root.join(below)];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = code_of(&text);
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path, text, code });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "no sources below {below}");
    found
}

/// Good enough for rustfmt's output: whole-line comments, trailing comments, one-line strings.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines().take_while(|line| *line != "#[cfg(test)]") {
        let mut quoted = false;
        let mut rest = line.chars().peekable();
        let mut previous = ' ';
        while let Some(c) = rest.next() {
            match c {
                '"' if previous != '\\' && !(previous == '\'' && rest.peek() == Some(&'\'')) => {
                    quoted = !quoted;
                }
                '/' if !quoted && rest.peek() == Some(&'/') => break,
                c if !quoted => code.push(c),
                _ => {}
            }
            previous = c;
        }
        code.push('\n');
    }
    code
}

/// `crate::a`, and `crate::{a, b::c}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => found.extend(first_name(rest)),
            Some(list) => {
                let mut depth = 1;
                let mut begins = true;
                for (at, c) in list.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 1 => begins = true,
                        c if begins && c.is_alphanumeric() => {
                            found.extend(first_name(&list[at..]));
                            begins = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
    }
    found
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty() && name != "self").then_some(name)
}

#[track_caller]
fn none(wrong: &[String], rule: &str) {
    assert!(wrong.is_empty(), "{rule}:\n  {}", wrong.join("\n  "));
}

#[test]
fn layers_are_a_stack() {
    let names: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    for (row, (name, allowed)) in LAYERS.iter().enumerate() {
        for import in allowed.split_whitespace() {
            let at = names
                .iter()
                .position(|n| *n == import)
                .unwrap_or_else(|| panic!("{name} may import {import}: no row"));
            assert!(at > row, "{name} may import {import}, which stands above it");
        }
    }
}

#[test]
fn modules_import_only_what_the_table_says() {
    let mut wrong = Vec::new();
    for source in sources("src") {
        let module = source.module();
        if ["lib", "bin"].contains(&module) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: module {module} has no row in LAYERS", source.path));
            continue;
        };
        for import in imports(&source.code) {
            let is_module = LAYERS.iter().any(|(name, _)| *name == import);
            if is_module && import != module && !allowed.split_whitespace().any(|a| a == import) {
                wrong.push(format!("{} imports {import}", source.path));
            }
        }
    }
    none(&wrong, "an arrow that the table does not have");
}

/// `runtime/child`: only `sys`, and the plan and messages that it is given.
#[test]
fn the_code_after_clone_is_alone() {
    let mut wrong = Vec::new();
    for source in sources("src/runtime/child") {
        for import in imports(&source.code) {
            if !["sys", "runtime"].contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", source.path));
            }
        }
        for (number, line) in source.code.lines().enumerate() {
            for word in NOT_AFTER_CLONE.iter().filter(|word| line.contains(**word)) {
                wrong.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    none(&wrong, "the code after clone allocates nothing, panics never, and says nothing");
}

#[test]
fn unsafe_is_in_sys_only() {
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().filter(|source| source.module() != "sys") {
        for (number, line) in source.code.lines().enumerate() {
            let words: Vec<&str> = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
            if words.contains(&"unsafe") || line.contains("allow(unsafe_code") {
                wrong.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    none(&wrong, "unsafe outside src/sys");
}

#[test]
fn programs_are_started_by_external_only() {
    let mut wrong = Vec::new();
    for source in
        sources("src").into_iter().filter(|source| source.module() != "external" && !source.is_test())
    {
        let grouped = source
            .code
            .split("process::{")
            .skip(1)
            .any(|rest| rest.split('}').next().unwrap_or("").contains("Command"));
        if grouped || source.code.contains("std::process::Command") {
            wrong.push(source.path);
        }
    }
    none(&wrong, "std::process::Command outside src/external");
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{}: does not begin with `//! `", source.path));
        }
    }
    none(&wrong, "the first line says what the file is for");
}

#[test]
fn files_are_of_one_size_and_clean() {
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let lines = source.text.lines().count();
        if lines > LONGEST_FILE && !TABLES.contains(&source.path.as_str()) {
            wrong.push(format!("{}: {lines} lines, at most {LONGEST_FILE}", source.path));
        }
        for (number, line) in source.text.lines().enumerate() {
            let at = || format!("{}:{}", source.path, number + 1);
            if line.ends_with(' ') || line.contains('\t') {
                wrong.push(format!("{}: trailing space or tab", at()));
            }
            if ["<<<<<<<", ">>>>>>>"].iter().any(|mark| line.starts_with(mark)) {
                wrong.push(format!("{}: a merge was not finished", at()));
            }
        }
        if !source.text.ends_with('\n') {
            wrong.push(format!("{}: no newline at its end", source.path));
        }
    }
    none(&wrong, "size and cleanness");
}

#[test]
fn no_module_is_a_drawer() {
    let mut wrong = Vec::new();
    for source in sources("src").into_iter().chain(sources("tests")) {
        let path = Path::new(&source.path).with_extension("");
        let drawer = path.iter().filter_map(|part| part.to_str()).any(|part| FORBIDDEN_NAMES.contains(&part));
        if drawer {
            wrong.push(source.path);
        }
    }
    none(&wrong, "a name that says nothing");
}

#[test]
fn no_test_file_is_forgotten() {
    let main = std::fs::read_to_string(project().join("tests/it/main.rs")).unwrap();
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(project().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let is_module = path.extension().is_some_and(|ext| ext == "rs") || path.join("mod.rs").exists();
        if is_module && name != "main" && !main.lines().any(|line| line == format!("mod {name};")) {
            wrong.push(format!("tests/it/{name}: not in main.rs"));
        }
    }
    none(&wrong, "a test file that is never compiled");
}

#[test]
fn the_reader_of_sources_reads_as_it_should() {
    let code = code_of(
        "use crate::{a, b::{c, d}, e}; // crate::f\nlet s = \"crate::g\"; my_crate::h; crate::i::j();\n#[cfg(test)]\ncrate::k\n",
    );
    assert_eq!(imports(&code).into_iter().collect::<Vec<_>>(), ["a", "b", "e", "i"]);
}
