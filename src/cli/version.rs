//! `coracle version`, and what it says where a link `podman` leads to coracle: the version of podman whose interface this is.
//! Programs that call podman choose by it what they ask for.

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

/// Whether the program was called by the name `podman`.
fn called_podman() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    std::path::Path::new(&name).file_name().is_some_and(|name| name == "podman")
}

/// For `--version`.
pub fn line() -> String {
    if called_podman() {
        return format!("podman version {API_VERSION}");
    }
    format!("coracle version {}", env!("CARGO_PKG_VERSION"))
}

pub fn run(args: &Args, _app: &App) -> Result<u8> {
    let arch = crate::spec::image::host_architecture();
    let own = env!("CARGO_PKG_VERSION");
    let (version, origin) = match called_podman() {
        true => (API_VERSION, format!("coracle {own}")),
        false => (own, String::new()),
    };
    let client: Value = json!({
        "APIVersion": API_VERSION,
        "Version": version,
        "GoVersion": "",
        "GitCommit": "",
        "BuiltTime": "",
        "Built": 0,
        "BuildOrigin": origin,
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
