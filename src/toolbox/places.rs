//! The host's places that a box shows, as mounts of config.json. Decided at each start: only what is there is mounted, so a
//! host that was updated, or a desktop that is gone, never stops a box.

use super::live::{self, HOST};
use crate::engine;
use crate::error::Result;
use crate::host;
use crate::ondisk::above;
use crate::ondisk::container::Container;
use crate::ondisk::toolbox::{Home, Toolbox};
use crate::paths::Dirs;
use serde_json::{Value, json};

/// A place, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub source: String,
    pub destination: String,
    access: Access,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Writable,
    ReadOnly,
    /// With all that is mounted below now; what the host mounts later is not shown.
    ReadOnlyTree,
    /// Nothing of it: an empty directory in its place.
    Hidden,
}

/// Where the box's process 1 and `sudo` come from.
pub const PROGRAM: &str = "/run/.coracle-oci";

/// Shown where they are on the host, with what the host mounts below them later.
const SHARED: [&str; 22] = [
    "/dev",
    "/media",
    "/mnt",
    "/run/avahi-daemon/socket",
    "/run/cups",
    "/run/dbus",
    "/run/.heim_org.h5l.kcm-socket",
    "/run/libvirt",
    "/run/media",
    "/run/pcscd",
    "/run/systemd/journal",
    "/run/systemd/resolve",
    "/run/systemd/seats",
    "/run/systemd/sessions",
    "/run/systemd/system",
    "/run/systemd/users",
    "/run/udev",
    "/tmp",
    "/var/lib/flatpak",
    "/var/lib/libvirt",
    "/var/lib/sss/pipes",
    "/var/mnt",
];

/// Shown read-only: source and destination.
const READ_ONLY: [(&str, &str); 6] = [
    ("/etc/machine-id", "/etc/machine-id"),
    ("/usr/share/fonts", "/usr/local/share/fonts"),
    ("/usr/share/icons", "/usr/local/share/icons"),
    ("/usr/share/themes", "/usr/local/share/themes"),
    ("/var/lib/systemd/coredump", "/var/lib/systemd/coredump"),
    ("/var/log/journal", "/var/log/journal"),
];

/// What an init does to these is not for the host's (`init`): it has its own, or none.
const NOT_WITH_INIT: [&str; 12] = [
    "/dev",
    "/etc/machine-id",
    "/run/dbus",
    "/run/systemd/journal",
    "/run/systemd/resolve",
    "/run/systemd/seats",
    "/run/systemd/sessions",
    "/run/systemd/system",
    "/run/systemd/users",
    "/run/udev",
    "/tmp",
    "/var/log/journal",
];

/// Sockets in /tmp, which is the box's own with an init.
const IN_TMP: [&str; 2] = ["/tmp/.ICE-unix", "/tmp/.X11-unix"];

/// The source of what hides a place.
const HIDING: &str = "coracle-hidden";

/// Names in /dev that a box with an init has, and beginnings of names: no terminal and no console.
const DEVICES: [&str; 20] = [
    "bus", "dma_heap", "dri", "fuse", "hidraw", "input", "kfd", "kvm", "media", "net", "nvidia", "snd",
    "tpmrm", "ttyACM", "ttyUSB", "uinput", "usb", "v4l", "vhost-", "video",
];

/// Those that are there now.
pub fn now(dirs: &Dirs, c: &Container, toolbox: &Toolbox) -> Result<Vec<Place>> {
    let place = |source: &str, destination: &str, access| Place {
        source: source.to_owned(),
        destination: destination.to_owned(),
        access,
    };
    use Access::{Hidden, ReadOnly, ReadOnlyTree, Writable};
    let of_host = |path: &str| match path {
        "/dev" | "/tmp" => Writable,
        _ if toolbox.read_only_host => ReadOnlyTree,
        _ => Writable,
    };
    let container = dirs.container(&c.id);
    let own = |name: &str| container.join(name).to_string_lossy().into_owned();
    let mut all = vec![place(&engine::programs::runtime_path()?.to_string_lossy(), PROGRAM, ReadOnly)];
    if !toolbox.isolated {
        all.push(place(&own(live::DIRECTORY), live::PLACE, ReadOnly));
        all.push(place("/", HOST, of_host("/")));
        let shown = |path: &&str| !(toolbox.init && NOT_WITH_INIT.contains(path));
        all.extend(SHARED.iter().copied().filter(shown).map(|path| place(path, path, of_host(path))));
        let fixed = READ_ONLY.iter().filter(|(source, _)| shown(source));
        all.extend(fixed.map(|(source, destination)| place(source, destination, ReadOnly)));
        let run = crate::paths::env("XDG_RUNTIME_DIR").and_then(|dir| dir.into_string().ok());
        let run = run.filter(|dir| dir.starts_with('/'));
        all.extend(run.iter().map(|dir| place(dir, dir, Writable)));
        if toolbox.init {
            // Sockets work where they cannot be removed.
            all.extend(IN_TMP.iter().map(|path| place(path, path, ReadOnly)));
            all.extend(devices().iter().map(|path| place(path, path, Writable)));
            let manager = run.iter().map(|dir| format!("{dir}/systemd"));
            all.extend(manager.map(|dir| place(&dir, &dir, Hidden)));
        }
    }
    if let Some(home) = dirs.home.as_deref().and_then(|home| home.to_str()) {
        let source = match toolbox.home {
            Home::Host => home.to_owned(),
            Home::Own => own("home"),
            Home::Overlay => own(above::MERGED),
        };
        all.push(place(&source, home, Writable));
        // /home is a link on some hosts; programs write down the one path or the other.
        if let Some(real) = live::real(home).filter(|real| real != home) {
            all.push(place(&source, &real, Writable));
        }
    }
    all.retain(|place| rustix::fs::stat(place.source.as_str()).is_ok());
    all.sort_by(|a, b| a.destination.cmp(&b.destination));
    all.dedup_by(|a, b| a.destination == b.destination);
    Ok(all)
}

/// The host's devices that a box with an init has.
fn devices() -> Vec<String> {
    let names = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let shown = |name: &String| DEVICES.iter().any(|begin| name.starts_with(begin));
    names.filter(shown).map(|name| format!("/dev/{name}")).collect()
}

/// Why the user's home cannot be in the box now, though it may well be there again.
pub fn home_out_of_sight(dirs: &Dirs, toolbox: &Toolbox) -> Option<String> {
    let home = dirs.home.as_deref().filter(|_| toolbox.home == Home::Host)?;
    host::unseen(home).map(|why| format!("your home {} {why}", home.display()))
}

/// What the last start mounted and this one cannot.
pub fn gone(before: &[String], now: &[Place]) -> Vec<String> {
    before.iter().filter(|old| !now.iter().any(|place| place.destination == **old)).cloned().collect()
}

/// Takes the mounts of the last start out and puts these in, parents before what is in them.
pub fn replace(mounts: &mut Vec<Value>, before: &[String], now: &[Place]) {
    let destination = |mount: &Value| mount["destination"].as_str().unwrap_or("").to_owned();
    let bound = |mount: &Value| mount["type"] == "bind" || mount["source"] == HIDING;
    mounts.retain(|mount| !(bound(mount) && before.contains(&destination(mount))));
    // The host's /dev has these two below it.
    if now.iter().any(|place| place.destination == "/dev") {
        mounts.retain(|m| !(bound(m) && ["/dev/mqueue", "/dev/shm"].contains(&destination(m).as_str())));
    }
    mounts.extend(now.iter().map(|place| {
        // Not `rw`, as in `specgen::mounts`.
        let options: &[&str] = match place.access {
            Access::Writable => &["rbind", "rslave"],
            Access::ReadOnly => &["rbind", "rslave", "ro"],
            Access::ReadOnlyTree => &["rbind", "rprivate", "rro"],
            Access::Hidden => &["ro", "nosuid", "nodev", "noexec", "mode=755"],
        };
        if place.access == Access::Hidden {
            return json!({
                "destination": place.destination, "type": "tmpfs", "source": HIDING, "options": options,
            });
        }
        json!({
            "destination": place.destination, "type": "bind", "source": place.source, "options": options,
        })
    }));
    mounts.sort_by_key(|mount| destination(mount).trim_end_matches('/').matches('/').count());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str) -> Place {
        Place { source: path.to_owned(), destination: path.to_owned(), access: Access::Writable }
    }

    #[test]
    fn the_places_of_the_last_start_make_room_for_those_of_this_one() {
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc"}),
            json!({"destination": "/dev/pts", "type": "devpts"}),
            json!({"destination": "/gone", "type": "bind"}),
        ];
        let now = [place("/dev"), place("/home/u")];
        assert_eq!(gone(&["/gone".to_owned(), "/dev".to_owned()], &now), ["/gone"]);
        replace(&mut mounts, &["/gone".to_owned()], &now);
        let order: Vec<&str> = mounts.iter().map(|m| m["destination"].as_str().unwrap()).collect();
        assert_eq!(order, ["/proc", "/dev", "/dev/pts", "/home/u"]);
    }
}
