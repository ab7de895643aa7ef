//! Which commands there are. Only the chosen one is built: a full clap tree costs more than starting a container may.
//!
//! An alias (`container ls`, `image rm`) is the same `Args` and the same `run` under another path.

use crate::cli::App;
use crate::cli::global::Globals;
use crate::error::Result;
use clap::{ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches};

/// A command or a group of commands.
#[derive(Debug)]
pub enum Node {
    Leaf(Leaf),
    Group { name: &'static str, about: &'static str, nodes: &'static [Self] },
}

/// One command.
#[derive(Debug)]
pub struct Leaf {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub command: fn() -> Command,
    pub run: fn(&ArgMatches, &App) -> Result<u8>,
}

impl Node {
    /// The name in help.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Leaf(leaf) => leaf.name,
            Self::Group { name, .. } => name,
        }
    }

    fn answers_to(&self, word: &str) -> bool {
        self.name() == word || matches!(self, Self::Leaf(leaf) if leaf.aliases.contains(&word))
    }

    /// The whole subtree for help, man pages and completions.
    pub fn document(&self) -> Command {
        match self {
            Self::Leaf(leaf) => (leaf.command)().name(leaf.name).visible_aliases(leaf.aliases),
            Self::Group { name, about, nodes } => Command::new(*name)
                .about(*about)
                .subcommand_required(true)
                .disable_help_subcommand(true)
                .subcommands(nodes.iter().map(Self::document)),
        }
    }
}

/// Finds the command that `words` begin with: how many words it takes, and the node. A group ends the search where the
/// next word is no command of it.
pub fn find(words: &[String]) -> Option<(usize, &'static Node)> {
    let mut nodes = NODES;
    let mut found = None;
    for (at, word) in words.iter().enumerate() {
        let Some(node) = nodes.iter().find(|node| node.answers_to(word)) else { break };
        found = Some((at + 1, node));
        match node {
            Node::Leaf(_) => break,
            Node::Group { nodes: below, .. } => nodes = below,
        }
    }
    found
}

/// `coracle` with everything below.
pub fn document() -> Command {
    let globals =
        <Globals as clap::Args>::augment_args(Command::new("coracle")).mut_args(|arg| arg.hide(false));
    globals
        .about("Run containers without root and without a daemon")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .subcommand_required(true)
        .subcommands(NODES.iter().map(Node::document))
}

/// Makes a documented command parse as pflag does: `--flag=false`, values that begin with `-`, the last of two wins,
/// global flags also here.
pub fn relax(command: Command) -> Command {
    let command = command.mut_args(|arg| {
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            return arg
                .action(ArgAction::Set)
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .default_value("false")
                .value_parser(go_bool);
        }
        if arg.is_positional() || !arg.get_action().takes_values() || arg.is_require_equals_set() {
            return arg;
        }
        arg.allow_hyphen_values(true)
    });
    let command = <Globals as clap::Args>::augment_args(command);
    command.args_override_self(true).no_binary_name(true)
}

/// Puts `--` before the first positional of a command whose flags end there (`run`, `exec`, `top`, `unshare`): what
/// follows belongs to somebody else, also when it looks like a flag of ours.
pub fn end_flags(command: &Command, words: &[String]) -> Vec<String> {
    if !command.get_positionals().any(clap::Arg::is_trailing_var_arg_set) {
        return words.to_vec();
    }
    let mut at = 0;
    while let Some(word) = words.get(at) {
        if word == "--" {
            return words.to_vec();
        }
        if !word.starts_with('-') || word == "-" {
            break;
        }
        at += if value_follows(command, word) { 2 } else { 1 };
    }
    let (flags, rest) = words.split_at(at.min(words.len()));
    if rest.is_empty() {
        return flags.to_vec();
    }
    flags.iter().cloned().chain(["--".to_owned()]).chain(rest.iter().cloned()).collect()
}

/// Whether the value of this flag, or of the last one of these short flags, is the next word.
pub(super) fn value_follows(command: &Command, word: &str) -> bool {
    let wants = |arg: &clap::Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    if let Some(long) = word.strip_prefix("--") {
        let is = |arg: &&clap::Arg| {
            arg.get_long() == Some(long)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
        };
        return command.get_arguments().find(is).is_some_and(wants) || super::global::takes_value(word);
    }
    for (at, c) in word.char_indices().skip(1) {
        match command.get_arguments().find(|arg| arg.get_short() == Some(c)) {
            // The rest of the word is its value, if there is a rest.
            Some(arg) if wants(arg) => return at + c.len_utf8() == word.len(),
            Some(_) => {}
            None => return false,
        }
    }
    false
}

/// Go's strconv.ParseBool.
pub fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("not true or false".to_owned()),
    }
}

macro_rules! leaf {
    ($name:literal, $($module:ident)::+) => { leaf!($name, [], $($module)::+) };
    ($name:literal, [$($alias:literal),*], $($module:ident)::+) => {
        Node::Leaf(Leaf {
            name: $name,
            aliases: &[$($alias),*],
            command: <crate::cli::$($module)::+::Args as CommandFactory>::command,
            run: |matches, app| {
                let args = <crate::cli::$($module)::+::Args as FromArgMatches>::from_arg_matches(matches)
                    .map_err(|e| crate::error::Error::internal(format_args!("cannot read the arguments of {}: {e}", $name)))?;
                crate::cli::$($module)::+::run(&args, app)
            },
        })
    };
}

/// All commands, in the order of the help.
pub const NODES: &[Node] = &[
    leaf!("run", run),
    leaf!("fanout", fanout),
    leaf!("create", create),
    leaf!("start", start),
    leaf!("stop", stop),
    leaf!("restart", restart),
    leaf!("kill", kill),
    leaf!("rm", rm),
    leaf!("ps", ["list", "ls"], ps),
    leaf!("exec", exec),
    leaf!("attach", attach),
    leaf!("logs", logs),
    leaf!("inspect", inspect),
    leaf!("wait", wait),
    leaf!("top", top),
    leaf!("cp", cp),
    leaf!("export", export),
    leaf!("port", port),
    leaf!("rename", rename),
    leaf!("pause", pause),
    leaf!("unpause", unpause),
    leaf!("update", update),
    leaf!("pull", pull),
    leaf!("images", images),
    leaf!("load", load),
    leaf!("history", history),
    leaf!("rmi", rmi),
    leaf!("tag", tag),
    leaf!("untag", untag),
    leaf!("login", login),
    leaf!("logout", logout),
    leaf!("bundle", bundle),
    leaf!("info", info),
    leaf!("version", version),
    leaf!("doctor", doctor),
    leaf!("unshare", unshare),
    leaf!("host", host),
    leaf!("completion", completion),
    Node::Group { name: "container", about: "Manage containers", nodes: CONTAINER },
    Node::Group { name: "image", about: "Manage images", nodes: IMAGE },
    Node::Group { name: "volume", about: "Manage volumes", nodes: VOLUME },
    Node::Group {
        name: "toolbox",
        about: "Live in boxes with your own home, user and tools",
        nodes: TOOLBOX,
    },
    Node::Group { name: "slurm", about: "Set up a Slurm cluster", nodes: SLURM },
    Node::Group { name: "config", about: "Show and change settings", nodes: CONFIG },
    Node::Group { name: "system", about: "Manage what coracle keeps", nodes: SYSTEM },
];

const CONTAINER: &[Node] = &[
    leaf!("attach", attach),
    leaf!("cp", cp),
    leaf!("create", create),
    leaf!("exec", exec),
    leaf!("exists", container::exists),
    leaf!("export", export),
    leaf!("inspect", container::inspect),
    leaf!("kill", kill),
    leaf!("list", ["ls", "ps"], ps),
    leaf!("logs", logs),
    leaf!("pause", pause),
    leaf!("port", port),
    leaf!("prune", container::prune),
    leaf!("rename", rename),
    leaf!("restart", restart),
    leaf!("rm", rm),
    leaf!("run", run),
    leaf!("start", start),
    leaf!("stop", stop),
    leaf!("top", top),
    leaf!("unpause", unpause),
    leaf!("update", update),
    leaf!("wait", wait),
];

const IMAGE: &[Node] = &[
    leaf!("exists", image::exists),
    leaf!("history", history),
    leaf!("inspect", image::inspect),
    leaf!("list", ["ls"], images),
    leaf!("load", load),
    leaf!("prune", image::prune),
    leaf!("pull", pull),
    leaf!("rm", rmi),
    leaf!("squash", image::squash),
    leaf!("tag", tag),
    leaf!("untag", untag),
];

const VOLUME: &[Node] = &[
    leaf!("create", volume::create),
    leaf!("exists", volume::exists),
    leaf!("inspect", volume::inspect),
    leaf!("ls", ["list"], volume::ls),
    leaf!("prune", volume::prune),
    leaf!("rm", ["remove"], volume::rm),
];

const TOOLBOX: &[Node] = &[
    leaf!("create", toolbox::create),
    leaf!("enter", toolbox::enter),
    leaf!("run", toolbox::run),
    leaf!("list", ["ls"], toolbox::list),
    leaf!("stop", toolbox::stop),
    leaf!("rm", toolbox::rm),
    leaf!("rmi", toolbox::rmi),
    leaf!("export", toolbox::export),
    leaf!("diff", toolbox::diff),
    leaf!("assemble", toolbox::assemble),
    leaf!("up", toolbox::up),
    leaf!("upgrade", toolbox::upgrade),
    leaf!("rebase", toolbox::rebase),
    leaf!("rollback", toolbox::rollback),
    Node::Group { name: "home", about: "Manage what a box changes above the host's home", nodes: HOME },
];

const HOME: &[Node] = &[leaf!("diff", toolbox::home::diff), leaf!("commit", toolbox::home::commit)];

const SLURM: &[Node] = &[leaf!("oci-conf", slurm::oci_conf), leaf!("run", slurm::run)];

const CONFIG: &[Node] =
    &[leaf!("get", config::get), leaf!("set", config::set), leaf!("unset", config::unset)];

const SYSTEM: &[Node] = &[
    leaf!("check", system::check),
    leaf!("df", system::df),
    leaf!("info", info),
    leaf!("migrate", system::migrate),
    leaf!("prune", system::prune),
    leaf!("share", system::share),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn run_words(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_owned()).collect();
        end_flags(&crate::cli::run::Args::command(), &words)
    }

    #[test]
    fn flags_end_at_the_image() {
        assert_eq!(
            run_words(&["-it", "--name", "x", "img", "-c", "y"]),
            ["-it", "--name", "x", "--", "img", "-c", "y"]
        );
        assert_eq!(
            run_words(&["-e", "A=1", "-eB=2", "--env=C", "i"]),
            ["-e", "A=1", "-eB=2", "--env=C", "--", "i"]
        );
        assert_eq!(run_words(&["-itv", "a:/b", "i", "--", "x"]), ["-itv", "a:/b", "--", "i", "--", "x"]);
        assert_eq!(
            run_words(&["--net", "none", "--pull", "never", "i"]),
            ["--net", "none", "--pull", "never", "--", "i"]
        );
        assert_eq!(run_words(&["--rm", "--", "i"]), ["--rm", "--", "i"]);
        assert_eq!(run_words(&["--rm"]), ["--rm"]);
    }

    #[test]
    fn every_definition_is_sound() {
        document().debug_assert();
    }

    #[test]
    fn a_boolean_may_be_false_and_the_last_one_wins() {
        let words = ["--rm", "--rm=false", "-d=true", "-it", "--memory-swap", "-1", "--", "i"];
        let matches = relax(crate::cli::run::Args::command()).try_get_matches_from(words).unwrap();
        let args = crate::cli::run::Args::from_arg_matches(&matches).unwrap();
        assert!(
            !args.create.container.rm
                && args.detach
                && args.create.process.tty
                && args.create.process.interactive
        );
        assert_eq!(args.create.resources.memory_swap.as_deref(), Some("-1"));
    }
}
