//! `coracle toolbox create`.

use crate::cli::{App, ui};
use crate::engine::options::PullPolicy;
use crate::error::{Error, Result};
use crate::id::ContainerName;
use crate::ondisk::toolbox::Home;
use crate::toolbox::{self, create::Wanted};

/// Make a box from any image
///
/// Nothing is installed and no network is used once the image is here: user, home, shell, sudo, hosts and time zone come
/// from coracle. Prints the box's name.
#[derive(Debug, Clone, clap::Parser)]
pub struct Args {
    /// Image: a name, an id, oci:DIR, docker-archive:FILE
    #[arg(short, long, value_name = "IMAGE")]
    pub image: String,
    /// Whose home: host, or own (a new one at the same path, removed with the box)
    #[arg(long, value_name = "host|own", default_value = "host")]
    pub home: String,
    /// Name; else the image's
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

pub fn run(args: &Args, app: &App) -> Result<u8> {
    let dirs = app.dirs()?;
    let home = match args.home.as_str() {
        "host" => Home::Host,
        "own" => Home::Own,
        other => return Err(super::super::parse::invalid("--home", other, "one of host, own", "--home own")),
    };
    let name = args.name.clone().unwrap_or_else(|| name_of(&args.image));
    ContainerName::parse(&name)?;
    if args.image == "host:" {
        return Err(Error::usage("a box cannot be made from host:").hint("Name an image: `--image debian`."));
    }
    let who = toolbox::identity::caller(&dirs)?;
    let wanted =
        Wanted { name, image: args.image.clone(), home, pull: PullPolicy::Missing, argv: app.argv.clone() };
    let created = toolbox::create::create(&dirs, &wanted, &who)?;
    created.warnings.iter().for_each(ui::warn);
    ui::line(&created.container.name)?;
    Ok(0)
}

/// `registry/debian:13` → `debian-13`, `registry/debian:latest` → `debian`.
fn name_of(image: &str) -> String {
    let last = image.trim_end_matches('/').rsplit('/').next().unwrap_or(image);
    let last = last.split('@').next().unwrap_or(last);
    let name = match last.rsplit_once(':') {
        Some((name, "latest")) => name.to_owned(),
        Some((name, tag)) => format!("{name}-{tag}"),
        None => last.to_owned(),
    };
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_box_is_called_like_its_image() {
        for (image, name) in [
            ("debian", "debian"),
            ("r:5/x/debian:13", "debian-13"),
            ("oci:/tmp/bb", "bb"),
            ("a:latest", "a"),
            ("a@sha256:1", "a"),
        ] {
            assert_eq!(super::name_of(image), name);
        }
    }
}
