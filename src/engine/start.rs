//! Starting what was made: the hand-over to the monitor, and `run` as create and start in one.

use super::create::{Created, create_as};
use super::options::CreateOptions;
use crate::error::{Context, Result};
use crate::id::ContainerId;
use crate::monitor::client::{self, HeadStart, LaunchOptions, Outcome};
use crate::monitor::{recover, remove};
use crate::ondisk::container::{Container, State};
use crate::paths::Dirs;
use crate::store::squash::SquashFile;
use std::time::Duration;

/// Starts a container that is not running, and relays its terminal when asked to.
pub fn start(dirs: &Dirs, container: &Container, options: &LaunchOptions) -> Result<Outcome> {
    super::site::check_container(dirs, container)
        .what(|| format!("cannot start container {}", container.name))?;
    let started = || {
        client::announce(dirs, container)?;
        client::launch(dirs, container, options)
    };
    super::lookup::or_gone(dirs, &container.id, started())
        .what(|| format!("cannot start container {}", container.name))
}

/// Creates and starts. `told` gets the container and the warnings before it runs, so that an id is printed even when the
/// start is interrupted. A container that could not start stays (podman), except with --rm. `file` is what `image_file` gave.
pub fn run(
    dirs: &Dirs,
    create_options: &CreateOptions,
    file: Option<&SquashFile>,
    launch_options: &LaunchOptions,
    told: impl FnOnce(&Created),
) -> Result<Outcome> {
    let id = ContainerId::random()?;
    // What stands in its way is said after what is wrong with the request.
    let head_start = HeadStart::begin(dirs, &id, create_options.cgroups, launch_options, file);
    let state = if create_options.auto_remove { recover::starting() } else { State::created() };
    let created = create_as(dirs, id, create_options, &state, file)?;
    told(&created);
    let container = &created.container;
    if head_start.is_err() && container.auto_remove {
        // No monitor has ever been there to do it. It has no files of other ids yet, so no namespace is needed either.
        let _ = remove::remove(dirs, container, true, Duration::ZERO);
    }
    head_start
        .and_then(|head_start| client::launch_with(head_start, dirs, container, launch_options))
        .what(|| format!("cannot start container {}", container.name))
}
