//! `coracle version`.

use crate::cli::format::{self, Format};
use crate::cli::{App, ui};
use crate::error::Result;
use serde_json::{Value, json};

/// Show the version
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// json, or a Go template: {{.Client.Version}}
    #[arg(short, long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// The version of podman's interface that scripts should expect.
const API_VERSION: &str = "5.4.2";

pub fn run(args: &Args, _app: &App) -> Result<u8> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let version = env!("CARGO_PKG_VERSION");
    let client: Value = json!({
        "APIVersion": API_VERSION,
        "Version": version,
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": "",
        "Built": 0,
        "BuildOrigin": "",
        "OsArch": format!("linux/{arch}"),
        "Os": "linux",
    });
    let all = json!({"Client": client});
    match Format::parse(args.format.as_deref()) {
        Format::Json => ui::line(&all)?,
        Format::Template(text) | Format::TableTemplate(text) => ui::out(&format::template(&text, &[all])?)?,
        Format::Table => {
            ui::out(&format!(
                "Client:       coracle\nVersion:      {version}\nAPI Version:  {API_VERSION}\nOS/Arch:      linux/{arch}\n"
            ))?;
        }
    }
    Ok(0)
}
