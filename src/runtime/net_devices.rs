//! Gives network devices of the host to the container's network namespace (`linux.netDevices`).
//!
//! Between the clone and `Go`: the child's sysctls and all hooks find the devices there. What a device was it stays: the
//! kernel keeps its attributes, and we give it back the global addresses that the kernel takes from it; then it is up. All or none:
//! when one cannot go, those before it come back. What becomes of them when the namespace ends is the kernel's matter: real
//! ones return to the host, virtual ones end with it.

use super::plan::Plan;
use super::plan::namespaces::NEWNET;
use super::plan::net_devices::{NetDevice, without_namespace};
use crate::error::{Context, Error, Kind, Result};
use crate::sys;
use crate::sys::CallContext;
use crate::sys::netlink::{Address, Link, Route};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A device on its way.
struct Traveller<'a> {
    device: &'a NetDevice,
    link: Link,
    addresses: Vec<Address>,
}

/// The two sides.
struct Sides<'a> {
    here: Route,
    there: Route,
    own: BorrowedFd<'a>,
    ns: BorrowedFd<'a>,
}

/// Moves the plan's devices to the network namespace of the child `pid`, which is made already or about to be joined.
pub fn give(plan: &Plan, pid: i32, proc: BorrowedFd<'_>) -> Result<()> {
    if plan.net_devices.is_empty() {
        return Ok(());
    }
    let own = open(proc, "self/ns/net")?;
    let made;
    let joined = plan.joined.iter().find(|(kind, _)| *kind == NEWNET);
    let ns = match joined {
        Some((_, fd)) => fd.as_fd(),
        None => {
            made = open(proc, &format!("{pid}/ns/net"))?;
            made.as_fd()
        }
    };
    let id = |fd: BorrowedFd<'_>| {
        rustix::fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).call(|| "fstat(ns/net)")
    };
    if id(own.as_fd())? == id(ns)? {
        return Err(without_namespace("the one to join is the runtime's own"));
    }
    let here = Route::open().call(|| "socket(NETLINK_ROUTE)").what(cannot)?;
    // Everybody is there before anybody goes.
    let travellers = plan.net_devices.iter().map(|device| find(&here, device)).collect::<Result<Vec<_>>>()?;
    let there =
        Route::open_in(ns, own.as_fd()).call(|| "setns(CLONE_NEWNET)").what(cannot).map_err(explain)?;
    let sides = Sides { here, there, own: own.as_fd(), ns };
    let mut gone = Vec::new();
    for traveller in &travellers {
        let moved = sides.cross(traveller).and_then(|index| {
            gone.push((index, traveller));
            sides.settle(index, traveller)
        });
        if let Err(e) = moved {
            gone.into_iter().rev().for_each(|(index, traveller)| sides.bring_back(index, traveller));
            let NetDevice { name, inside } = traveller.device;
            return Err(e)
                .what(|| format!("cannot move network device {name} to the container as {inside}"))
                .map_err(explain);
        }
    }
    Ok(())
}

fn cannot() -> &'static str {
    "cannot move network devices to the container"
}

fn open(proc: BorrowedFd<'_>, path: &str) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(proc, path, flags, Mode::empty()).call(|| format!("open(/proc/{path})")).what(cannot)
}

fn find<'a>(here: &Route, device: &'a NetDevice) -> Result<Traveller<'a>> {
    let name = &device.name;
    let link = here.link(name).call(|| format!("RTM_GETLINK({name})")).map_err(|e| {
        let kind = if e.raw_os_error() == libc::ENODEV { Kind::NotFound } else { Kind::Host };
        Error::new(kind, format_args!("cannot find network device {name} of linux.netDevices"))
            .cause(e)
            .hint("`ip link` lists the network devices of the host.")
    })?;
    let addresses = here.addresses(link.index).call(|| format!("RTM_GETADDR({name})")).what(cannot)?;
    Ok(Traveller { device, link, addresses })
}

impl Sides<'_> {
    /// To the other side. Returns its index there. It goes under a name that is nobody's: the kernel moves first and renames
    /// then, and a device whose new name is taken would be there, under its old one, without our knowledge.
    fn cross(&self, traveller: &Traveller<'_>) -> sys::Result<i32> {
        let index = traveller.link.index;
        let passing = format!("o{:x}-{index:x}", std::process::id());
        let name = &traveller.device.name;
        self.here.give(index, &passing, self.ns).call(|| format!("RTM_NEWLINK({name}, netns)"))?;
        Ok(self.there.link(&passing).call(|| format!("RTM_GETLINK({passing})"))?.index)
    }

    /// Makes it there what it was here, and up.
    fn settle(&self, index: i32, traveller: &Traveller<'_>) -> sys::Result<()> {
        let inside = &traveller.device.inside;
        self.there.rename(index, inside).call(|| format!("RTM_NEWLINK({inside})"))?;
        for address in traveller.addresses.iter().filter(|address| address.is_global()) {
            self.there.add_address(index, address).call(|| format!("RTM_NEWADDR({inside})"))?;
        }
        self.there.set_up(index).call(|| format!("RTM_NEWLINK({inside}, IFF_UP)"))
    }

    /// Back, as far as it can be had.
    fn bring_back(&self, index: i32, traveller: &Traveller<'_>) {
        let name = &traveller.device.name;
        if self.there.give(index, name, self.own).is_err() {
            return;
        }
        let Ok(link) = self.here.link(name) else { return };
        for address in &traveller.addresses {
            let _ = self.here.add_address(link.index, address);
        }
        if traveller.link.up {
            let _ = self.here.set_up(link.index);
        }
    }
}

/// What to do about it.
fn explain(error: Error) -> Error {
    match error.errno().map(Errno::from_raw_os_error) {
        Some(Errno::EXIST) => error.hint(
            "The container's network namespace has a device of that name: choose another one, or one that ends in %d.",
        ),
        Some(Errno::PERM) => error.hint(
            "The devices are those of a network namespace that is not the caller's: run it as root of the host.",
        ),
        Some(Errno::INVAL) => {
            error.hint("Some devices cannot leave their network namespace: lo, and what `ip -d link` calls netns-immutable.")
        }
        _ => error,
    }
}
