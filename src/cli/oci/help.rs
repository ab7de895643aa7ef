//! The texts of `--help`, in runc's form: the name that we were called by first, then what is asked about.

use super::flags;

/// Each verb in a few words.
const WORDS: &[(&str, &str, &str)] = &[
    ("create", "ID", "create a container"),
    ("run", "ID", "create and run a container"),
    ("start", "ID", "run the command of a created container"),
    ("state", "ID", "output the state of a container as JSON"),
    ("kill", "ID [SIGNAL]", "send a signal (TERM) to the init process of a container"),
    ("delete", "ID", "delete what a container holds"),
    ("exec", "ID COMMAND [ARG...]", "run one more process in a running container"),
    ("list", "", "list the containers below --root"),
    ("ps", "ID [PS OPTIONS]", "list the processes of a container"),
    ("pause", "ID", "suspend all processes of a container"),
    ("resume", "ID", "let them go on"),
    ("update", "ID", "change the limits of a container"),
    ("events", "ID", "show the statistics of a container, and when it runs out of memory, as JSON"),
    ("checkpoint", "ID", "write the processes of a container down, with criu"),
    ("restore", "ID", "bring back a container that was written down"),
    ("features", "", "show what this runtime can do, as JSON"),
    ("spec", "", "write a config.json to start from"),
];

/// `--help`.
pub fn all(name: &str) -> String {
    let mut text = format!(
        "NAME:\n   {name} - Open Container Initiative runtime\n\nUSAGE:\n   {name} [global options] command [command options] [arguments...]\n\nCOMMANDS:\n"
    );
    for (verb, _, words) in WORDS {
        text.push_str(&format!("   {verb:<12}{words}\n"));
    }
    text.push_str("\nGLOBAL OPTIONS:\n");
    text.push_str(&options(flags::GLOBAL));
    text.push_str("\nSee coracle-oci(1).\n");
    text
}

/// `VERB --help`.
pub fn of_verb(name: &str, verb: &str) -> String {
    let known = WORDS.iter().find(|(known, ..)| *known == verb);
    let (operands, words) = known.map_or(("", ""), |(_, operands, words)| (*operands, *words));
    let list = options(&flags::flags_of(verb));
    let heading = if list.is_empty() { "" } else { "\nOPTIONS:\n" };
    format!(
        "NAME:\n   {name} {verb} - {words}\n\nUSAGE:\n   {name} {verb} [command options] {operands}\n{heading}{list}"
    )
}

fn options(list: &[flags::Flag]) -> String {
    let line = |(long, short, value): &flags::Flag| {
        let short = short.map(|letter| format!(", -{letter}")).unwrap_or_default();
        format!("   --{long}{short}{}\n", if *value { " value" } else { "" })
    };
    list.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_words() {
        for (verb, _) in flags::VERBS {
            assert!(WORDS.iter().any(|(known, ..)| known == verb), "{verb}");
        }
        assert!(of_verb("runc", "kill").starts_with("NAME:\n   runc kill - "));
        assert!(all("x").starts_with("NAME:\n   x - Open Container Initiative runtime\n"));
    }
}
