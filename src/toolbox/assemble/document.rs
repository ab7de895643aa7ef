//! Our own files: a table for each box, in TOML.
//!
//! ```toml
//! [dev]
//! image = "debian"                  # or distro and release
//! packages = ["git", "vim"]
//! home = "own"
//! setup = ["useradd builder"]       # for the box's root, once, after the packages; setup-before: before them
//! export = ["org.gnome.gedit"]
//! export-bin = ["htop"]
//! ```

use super::Declared;
use crate::error::{Error, Result};
use serde::Deserialize;

/// A box, as it is written. The keys are the flags of `create` and words of their own.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Table {
    image: Option<String>,
    distro: Option<String>,
    release: Option<String>,
    home: Option<String>,
    isolate: bool,
    read_only_host: bool,
    init: bool,
    devices: Vec<String>,
    gpus: Vec<String>,
    host_exec: bool,
    volumes: Vec<String>,
    pull: bool,
    replace: bool,
    start: bool,
    packages: Vec<String>,
    setup_before: Vec<String>,
    setup: Vec<String>,
    export: Vec<String>,
    export_bin: Vec<String>,
}

/// The boxes, in order of their names: TOML has none.
pub fn parse(text: &str) -> Result<Vec<Declared>> {
    let tables: std::collections::BTreeMap<String, Table> = toml::from_str(text).map_err(|e| {
        let line = e.span().map_or(1, |span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
        Error::usage(format_args!("line {line}: {}", e.message()))
    })?;
    tables.into_iter().map(|(name, table)| declared(name, table)).collect()
}

fn declared(name: String, t: Table) -> Result<Declared> {
    if t.image.is_none() && t.distro.is_none() {
        return Err(Error::usage(format_args!("box {name} has no image")).hint(format_args!(
            "Add a line below [{name}]: `image = \"debian\"`, or `distro` and `release`."
        )));
    }
    if t.image.is_some() && (t.distro.is_some() || t.release.is_some()) {
        return Err(Error::usage(format_args!("box {name} has an image and a distribution"))
            .hint("Leave one of them out."));
    }
    let script = |lines: Vec<String>| lines.into_iter().map(|line| line + "\n").collect();
    Ok(Declared {
        name,
        image: t.image,
        distro: t.distro,
        release: t.release,
        home: t.home,
        isolate: t.isolate,
        read_only_host: t.read_only_host,
        init: t.init,
        devices: t.devices,
        gpus: t.gpus,
        host_exec: t.host_exec,
        volumes: t.volumes,
        pull: t.pull,
        replace: t.replace,
        start: t.start,
        packages: t.packages,
        before: script(t.setup_before),
        after: script(t.setup),
        applications: t.export,
        programs: t.export_bin,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_box() {
        let boxes = parse(
            "[dev]\nimage = \"debian\"\npackages = [\"git\"]\nsetup = [\"a\", \"b\"]\nhome = \"own\"\n\
             [other]\ndistro = \"fedora\"\nrelease = \"42\"\nread-only-host = true\n",
        )
        .unwrap();
        assert_eq!((boxes[0].name.as_str(), boxes[0].after.as_str()), ("dev", "a\nb\n"));
        assert!(boxes[0].must_run() && !boxes[1].must_run());
        assert!(boxes[1].read_only_host);
        for (text, why) in [
            ("[a]\nimage = \"x\"\ncolour = 1\n", "line 3: unknown field `colour`"),
            ("[a]\n", "box a has no image"),
            ("[a]\nimage = \"x\"\ndistro = \"y\"\n", "box a has an image and a distribution"),
            ("[a]\npull = \"x\"\n", "line 2: invalid type"),
            ("[a\n", "line 1: "),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.what().starts_with(why), "{error:?}");
        }
    }
}
