//! `coracle completion`: scripts for shells, from the same definitions as the help.

use crate::cli::{App, tree, ui};
use crate::error::Result;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// For bash: `coracle completion bash > ~/.local/share/bash-completion/completions/coracle`.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL")]
    pub shell: String,
}

pub fn run(args: &Args, _app: &App) -> Result<u8> {
    let shell = match args.shell.as_str() {
        "bash" => Shell::Bash,
        "zsh" => Shell::Zsh,
        "fish" => Shell::Fish,
        other => {
            return Err(super::parse::invalid(
                "shell",
                other,
                "one of bash, zsh, fish",
                "coracle completion bash",
            ));
        }
    };
    ui::bytes(&script(shell))?;
    Ok(0)
}

/// The script of a shell; `completions/` holds the same bytes.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut tree::document(), "coracle", &mut bytes);
    bytes
}
