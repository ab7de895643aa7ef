//! Requests to the kernel's rtnetlink(7): an interface found by name, given to another network namespace, and made what it
//! was there. Not after clone: messages are built in vectors.
//!
//! A socket speaks for the network namespace that it was made in, for as long as it is open.

use rustix::io::{Errno, Result};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::thread::LinkNameSpaceType;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

/// linux/netlink.h
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE: u16 = 0x400;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;

/// linux/if_link.h
const IFLA_IFNAME: u16 = 3;
const IFLA_NET_NS_FD: u16 = 28;
const IFF_UP: u32 = 1;

/// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_RT_PRIORITY: u16 = 9;
const IFA_F_PERMANENT: u32 = 0x80;
/// What of an address its owner has chosen: nodad, home, mngtmpaddr, noprefixroute. The rest is the kernel's own account.
const IFA_F_CHOSEN: u32 = 0x02 | 0x10 | 0x100 | 0x200;

/// Room for the largest answer that the kernel puts together.
const ANSWER: usize = 64 << 10;

/// A socket of the route family.
#[derive(Debug)]
pub struct Route(OwnedFd);

/// An interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub index: i32,
    pub up: bool,
}

/// An address of an interface, as it is given back to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    family: u8,
    prefix: u8,
    scope: u8,
    /// The attributes of the message.
    attributes: Vec<u8>,
}

impl Address {
    /// Whether it means something beyond this host and its links.
    pub fn is_global(&self) -> bool {
        self.scope == libc::RT_SCOPE_UNIVERSE
    }
}

impl Route {
    /// In the network namespace of the caller.
    pub fn open() -> Result<Self> {
        // NETLINK_ROUTE is protocol 0.
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None).map(Self)
    }

    /// In the network namespace `ns`: there and back to `own`, the caller's. Who could not come back does not go.
    pub fn open_in(ns: BorrowedFd<'_>, own: BorrowedFd<'_>) -> Result<Self> {
        let enter = |ns| rustix::thread::move_into_link_name_space(ns, Some(LinkNameSpaceType::Network));
        enter(own)?;
        enter(ns)?;
        let made = Self::open();
        enter(own)?;
        made
    }

    /// The interface of that name; ENODEV where there is none.
    pub fn link(&self, name: &str) -> Result<Link> {
        let mut request = Message::new(libc::RTM_GETLINK, NLM_F_ACK, &link_head(0, 0, 0));
        request.name(name);
        let answers = self.ask(&request)?;
        let head = answers.first().ok_or(Errno::NODEV)?;
        let number = |at: usize| field(head, at).ok_or(Errno::PROTO);
        Ok(Link { index: number(4)?.cast_signed(), up: number(8)? & IFF_UP != 0 })
    }

    /// The addresses that the interface has for good.
    pub fn addresses(&self, index: i32) -> Result<Vec<Address>> {
        let answers = self.ask(&Message::new(libc::RTM_GETADDR, NLM_F_DUMP, &[0; 8]))?;
        Ok(answers.iter().filter_map(|answer| kept_address(answer, index)).collect())
    }

    /// Gives the interface, under `name`, to the network namespace `ns`, whatever its old name is to somebody there.
    pub fn give(&self, index: i32, name: &str, ns: BorrowedFd<'_>) -> Result<()> {
        let mut request = Message::new(libc::RTM_NEWLINK, NLM_F_ACK, &link_head(index, 0, 0));
        request.name(name);
        request.attribute(IFLA_NET_NS_FD, &ns.as_raw_fd().to_ne_bytes());
        self.ask(&request).map(drop)
    }

    /// A new name; `%d` in it becomes the first free number.
    pub fn rename(&self, index: i32, name: &str) -> Result<()> {
        let mut request = Message::new(libc::RTM_NEWLINK, NLM_F_ACK, &link_head(index, 0, 0));
        request.name(name);
        self.ask(&request).map(drop)
    }

    pub fn set_up(&self, index: i32) -> Result<()> {
        self.ask(&Message::new(libc::RTM_NEWLINK, NLM_F_ACK, &link_head(index, IFF_UP, IFF_UP))).map(drop)
    }

    pub fn add_address(&self, index: i32, address: &Address) -> Result<()> {
        let mut head = [0; 8];
        for (to, from) in head.iter_mut().zip([address.family, address.prefix, 0, address.scope]) {
            *to = from;
        }
        for (to, from) in head.iter_mut().skip(4).zip(index.to_ne_bytes()) {
            *to = from;
        }
        let mut request = Message::new(libc::RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &head);
        request.bytes.extend_from_slice(&address.attributes);
        self.ask(&request).map(drop)
    }

    /// Sends the request and reads to the end of the answer: an errno, or 0.
    fn ask(&self, request: &Message) -> Result<Vec<Vec<u8>>> {
        rustix::net::send(&self.0, &request.finished(), SendFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0u8; ANSWER];
        loop {
            let received = match rustix::net::recv(&self.0, buffer.as_mut_slice(), RecvFlags::empty()) {
                Err(Errno::INTR) => continue,
                other => other?.1,
            };
            let mut rest = buffer.get(..received).ok_or(Errno::MSGSIZE)?;
            while let Some((kind, body, after)) = first_message(rest) {
                rest = after;
                if kind != NLMSG_ERROR && kind != NLMSG_DONE {
                    answers.push(body.to_vec());
                    continue;
                }
                return match field(body, 0).map_or(0, u32::cast_signed) {
                    0 => Ok(answers),
                    errno => Err(Errno::from_raw_os_error(-errno)),
                };
            }
        }
    }
}

/// A request on its way.
struct Message {
    kind: u16,
    flags: u16,
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16, head: &[u8]) -> Self {
        Self { kind, flags, bytes: head.to_vec() }
    }

    fn name(&mut self, name: &str) {
        self.attribute(IFLA_IFNAME, &[name.as_bytes(), &[0]].concat());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        push_attribute(&mut self.bytes, kind, value);
    }

    /// With its header: length, kind, flags, sequence number, sender. We ask one thing at a time, as whoever we are.
    fn finished(&self) -> Vec<u8> {
        let mut all = ((HEADER + self.bytes.len()) as u32).to_ne_bytes().to_vec();
        all.extend(self.kind.to_ne_bytes());
        all.extend((self.flags | NLM_F_REQUEST).to_ne_bytes());
        all.extend([0; 8]);
        all.extend_from_slice(&self.bytes);
        all
    }
}

fn push_attribute(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

/// struct ifinfomsg: family and type (none), index, flags, which of them to change.
fn link_head(index: i32, flags: u32, change: u32) -> [u8; 16] {
    let mut head = [0; 16];
    let numbers = [0, index.cast_unsigned(), flags, change];
    for (to, from) in head.chunks_exact_mut(4).zip(numbers) {
        to.copy_from_slice(&from.to_ne_bytes());
    }
    head
}

/// Four bytes as a number.
fn field(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|four| u32::from_ne_bytes(*four))
}

/// Kind, body, and what follows.
fn first_message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = field(bytes, 0)? as usize;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk::<2>()?);
    let body = bytes.get(HEADER..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// The attributes of a message: kind and value of each.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(*bytes.first_chunk::<2>()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk::<2>()?);
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// struct ifaddrmsg (family, prefix, flags, scope, index) and its attributes → the address, when it is one to keep.
fn kept_address(answer: &[u8], index: i32) -> Option<Address> {
    let (head, rest) = answer.split_first_chunk::<8>()?;
    let [family, prefix, short_flags, scope, ..] = *head;
    let all = || attributes(rest);
    let flags = all().find(|(kind, _)| *kind == IFA_FLAGS).and_then(|(_, value)| field(value, 0));
    let flags = flags.unwrap_or_else(|| short_flags.into());
    if field(head, 4)?.cast_signed() != index || flags & IFA_F_PERMANENT == 0 {
        return None;
    }
    // Not its label, which is the old name, nor its age.
    let mut attributes = Vec::new();
    for (kind, value) in all() {
        if [IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_RT_PRIORITY].contains(&kind) {
            push_attribute(&mut attributes, kind, value);
        }
    }
    push_attribute(&mut attributes, IFA_FLAGS, &(flags & IFA_F_CHOSEN).to_ne_bytes());
    Some(Address { family, prefix, scope, attributes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found() {
        let route = Route::open().unwrap();
        assert_eq!(route.link("lo").unwrap().index, 1);
        assert_eq!(route.link("nosuch0"), Err(Errno::NODEV));
    }

    #[test]
    fn of_an_address_stays_what_its_owner_chose() {
        let message = |flags: u32, scope: u8| {
            let mut answer = vec![libc::AF_INET as u8, 24, 0, scope];
            answer.extend(5i32.to_ne_bytes());
            push_attribute(&mut answer, IFA_LOCAL, &[10, 0, 0, 7]);
            push_attribute(&mut answer, 3, b"eth0\0");
            push_attribute(&mut answer, IFA_FLAGS, &flags.to_ne_bytes());
            answer
        };
        let mut attributes = Vec::new();
        push_attribute(&mut attributes, IFA_LOCAL, &[10, 0, 0, 7]);
        push_attribute(&mut attributes, IFA_FLAGS, &0x200u32.to_ne_bytes());
        let kept = Address { family: libc::AF_INET as u8, prefix: 24, scope: 0, attributes };
        assert!(kept.is_global());
        assert_eq!(kept_address(&message(0x280, 0), 5), Some(kept));
        assert!(!kept_address(&message(0x280, 254), 5).unwrap().is_global(), "the host's own");
        assert_eq!(kept_address(&message(0x280, 0), 6), None, "of another interface");
        assert_eq!(kept_address(&message(0x200, 0), 5), None, "not for good");
    }
}
