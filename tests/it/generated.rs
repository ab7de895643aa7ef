//! Man pages and completions are what the command line's definitions say. `CORACLE_UPDATE=1` writes them anew.

use coracle::cli::{completion, tree};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Hand-written pages, left alone.
const WRITTEN: [&str; 3] = ["coracle-oci.1", "coracle-rootless.7", "coracle-site.toml.5"];

#[test]
fn man_pages_and_completions_are_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Files::new();
    let mut document = tree::document();
    document.build();
    pages(&document, &[], &mut files);
    for (shell, name) in [
        (clap_complete::Shell::Bash, "coracle.bash"),
        (clap_complete::Shell::Zsh, "_coracle"),
        (clap_complete::Shell::Fish, "coracle.fish"),
    ] {
        files.insert(Path::new("completions").join(name), completion::script(shell));
    }
    if std::env::var_os("CORACLE_UPDATE").is_some() {
        update(root, &files);
    }
    let stale: Vec<&PathBuf> = files
        .iter()
        .filter(|(path, want)| std::fs::read(root.join(path)).ok().as_ref() != Some(*want))
        .map(|(p, _)| p)
        .collect();
    assert!(
        stale.is_empty(),
        "not as the command line's definitions say: {stale:?}; write them with CORACLE_UPDATE=1 cargo test --test it generated"
    );
    let extra: Vec<PathBuf> = existing(root).into_iter().filter(|path| !files.contains_key(path)).collect();
    assert!(extra.is_empty(), "no command has these: {extra:?}; remove them");
}

/// One page a command; an alias in a group refers to the page of the command itself.
fn pages(command: &clap::Command, path: &[&str], files: &mut Files) {
    let title = std::iter::once("coracle").chain(path.iter().copied()).collect::<Vec<_>>().join("-");
    let file = Path::new("man").join(format!("{title}.1"));
    let text = match path {
        [group @ ("container" | "image"), name] if let Some(target) = top_level_twin(group, name) => {
            format!(".so man1/coracle-{target}.1\n").into_bytes()
        }
        [.., "info"] if path.len() == 2 => b".so man1/coracle-info.1\n".to_vec(),
        _ => page(command, &title),
    };
    files.insert(file, text);
    for below in command.get_subcommands() {
        let mut path = path.to_vec();
        path.push(below.get_name());
        pages(below, &path, files);
    }
}

/// The top-level command that a command of a group is.
fn top_level_twin(group: &str, name: &str) -> Option<String> {
    let twin = match (group, name) {
        ("container", "list") => "ps",
        ("image", "list") => "images",
        ("image", "rm") => "rmi",
        // Commands of their own, with other flags.
        (_, "exists" | "inspect" | "prune") => return None,
        (_, name) => name,
    };
    Some(twin.to_owned())
}

fn page(command: &clap::Command, title: &str) -> Vec<u8> {
    let command = command.clone().name(title.to_owned()).display_name(title.to_owned());
    let manual = "User Commands";
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command).title(title).manual(manual).date("").render(&mut bytes).unwrap();
    bytes
}

fn update(root: &Path, files: &Files) {
    for path in existing(root) {
        std::fs::remove_file(root.join(path)).unwrap();
    }
    for (path, bytes) in files {
        std::fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
        std::fs::write(root.join(path), bytes).unwrap();
    }
}

fn existing(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in ["man", "completions"] {
        for entry in std::fs::read_dir(root.join(dir)).into_iter().flatten().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if !WRITTEN.contains(&name.as_str()) {
                found.push(Path::new(dir).join(name));
            }
        }
    }
    found
}
