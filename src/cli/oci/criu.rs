//! `coracle-oci checkpoint` and `restore`: the words around criu.

use super::flags::Parsed;
use crate::error::{Error, Result};
use crate::runtime::checkpoint::{CheckpointArgs, CriuArgs, cgroups_mode};
use crate::runtime::plan::namespaces::{NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWTIME, NEWUSER, NEWUTS};
use crate::runtime::restore::RestoreArgs;
use std::path::{Path, PathBuf};

/// Where the images are when nobody says so.
const IMAGES: &str = "checkpoint";

fn criu_args(parsed: &Parsed) -> Result<CriuArgs> {
    let path = |flag| parsed.value(flag).filter(|path| !path.is_empty()).map(PathBuf::from);
    let mut empty_ns = 0;
    for name in parsed.values("empty-ns") {
        empty_ns |= namespace(&name.to_string_lossy())?;
    }
    Ok(CriuArgs {
        images: path("image-path").unwrap_or_else(|| PathBuf::from(IMAGES)),
        work: path("work-path"),
        tcp_established: parsed.has("tcp-established"),
        ext_unix_sk: parsed.has("ext-unix-sk"),
        shell_job: parsed.has("shell-job"),
        file_locks: parsed.has("file-locks"),
        link_remap: parsed.has("link-remap"),
        auto_dedup: parsed.has("auto-dedup"),
        lazy_pages: parsed.has("lazy-pages"),
        cgroups_mode: parsed
            .text("manage-cgroups-mode")?
            .filter(|m| !m.is_empty())
            .map(cgroups_mode)
            .transpose()?,
        empty_ns,
    })
}

fn namespace(name: &str) -> Result<u64> {
    Ok(match name {
        "network" => NEWNET,
        "ipc" => NEWIPC,
        "uts" => NEWUTS,
        "mount" => NEWNS,
        "pid" => NEWPID,
        "user" => NEWUSER,
        "cgroup" => NEWCGROUP,
        "time" => NEWTIME,
        _ => {
            return Err(Error::usage(format_args!("namespace {name:?} is not supported"))
                .hint("Use --empty-ns network."));
        }
    })
}

/// Of `checkpoint`.
pub fn checkpoint_args(parsed: &Parsed) -> Result<CheckpointArgs> {
    let parent = parsed.text("parent-path")?.filter(|path| !path.is_empty());
    if parent.is_some_and(|path| Path::new(path).is_absolute()) {
        return Err(Error::usage("--parent-path must be relative")
            .hint("It starts at --image-path: ../before, for example."));
    }
    let server = |text: &str| {
        let parts =
            text.rsplit_once(':').and_then(|(address, port)| Some((address.to_owned(), port.parse().ok()?)));
        parts
            .filter(|(address, _)| !address.is_empty())
            .ok_or_else(|| Error::usage("Use --page-server ADDRESS:PORT to specify page server"))
    };
    Ok(CheckpointArgs {
        criu: criu_args(parsed)?,
        leave_running: parsed.has("leave-running"),
        pre_dump: parsed.has("pre-dump"),
        tcp_skip_in_flight: parsed.has("tcp-skip-in-flight"),
        parent: parent.map(str::to_owned),
        page_server: parsed.text("page-server")?.filter(|text| !text.is_empty()).map(server).transpose()?,
        status_fd: parsed.number::<i32>("status-fd")?.filter(|fd| *fd >= 0),
    })
}

/// Of `restore`.
pub fn restore_args(parsed: &Parsed) -> Result<RestoreArgs> {
    let text = |flag| Ok::<_, Error>(parsed.text(flag)?.filter(|text| !text.is_empty()).map(str::to_owned));
    Ok(RestoreArgs {
        criu: criu_args(parsed)?,
        lsm_profile: text("lsm-profile")?,
        lsm_mount_context: text("lsm-mount-context")?,
    })
}
