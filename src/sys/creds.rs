//! Who a process is: ids, groups, capabilities. All of it runs after clone: bare errnos, no allocation.
//!
//! Raw system calls through rustix: they change the calling thread, which is the only one.

use rustix::io::{Errno, Result};
use rustix::process::{Gid, Uid};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// Sets real, effective and saved group id, which also set the file system id.
pub fn set_gid(gid: u32) -> Result<()> {
    let gid = Gid::from_raw(gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid)
}

/// Sets real, effective and saved user id.
pub fn set_uid(uid: u32) -> Result<()> {
    let uid = Uid::from_raw(uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid)
}

/// Sets real root's effective user id, which also sets the file system id; 0 takes it back.
pub fn set_effective_uid(uid: u32) -> Result<()> {
    rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::from_raw(uid), Uid::ROOT)
}

/// Takes from the bounding set all that is not in `keep`. Capabilities the kernel does not know are skipped.
pub fn limit_bounding(keep: u64) -> Result<()> {
    for number in 0..64 {
        let bit = 1u64 << number;
        if keep & bit != 0 {
            continue;
        }
        let cap = CapabilitySet::from_bits_retain(bit);
        match rustix::thread::capability_is_in_bounding_set(cap) {
            Ok(true) => rustix::thread::remove_capability_from_bounding_set(cap)?,
            Ok(false) => {}
            Err(Errno::INVAL) => break,
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Sets effective, permitted and inheritable.
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(effective),
        permitted: CapabilitySet::from_bits_retain(permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    rustix::thread::set_capabilities(None, sets)
}

/// What the caller may have in any of its sets.
pub fn permitted_capabilities() -> Result<u64> {
    rustix::thread::capabilities(None).map(|sets| sets.permitted.bits())
}

/// Makes the ambient set exactly `wanted` (which must be permitted and inheritable).
pub fn set_ambient(wanted: u64) -> Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    for number in 0..64 {
        let bit = 1u64 << number;
        if wanted & bit != 0 {
            rustix::thread::configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(bit), true)?;
        }
    }
    Ok(())
}
