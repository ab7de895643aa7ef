//! CPU affinity of the calling thread, and of what it starts.
//!
//! A launcher binds each of its processes to CPUs of its own, and what is started inherits that. What serves many belongs on
//! none of them: it asks for all CPUs, and the kernel leaves those that the cgroup allows.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// From now on all CPUs that the cgroup allows. Returns what it was; `None`: it is as it was.
pub fn use_all() -> Option<CpuSet> {
    let own = sched_getaffinity(None).ok()?;
    let mut all = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
    sched_setaffinity(None, &all).ok()?;
    Some(own)
}

/// As it was.
pub fn back_to(own: Option<CpuSet>) {
    let _ = own.map(|own| sched_setaffinity(None, &own));
}
