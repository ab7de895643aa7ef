//! Whether the kernel's OOM killer hit the container: `oom_kill` of its memory.events, read before the cgroup goes.

use super::cgroup;
use std::os::fd::BorrowedFd;

/// False also where there is no memory controller.
pub(super) fn was_oom_killed(cgroup: BorrowedFd<'_>) -> bool {
    cgroup::read(cgroup, "payload/memory.events").is_ok_and(|events| oom_kills(&events) > 0)
}

fn oom_kills(events: &str) -> u64 {
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_oom_kill_counts() {
        assert_eq!(super::oom_kills("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 7\n"), 2);
        assert_eq!(super::oom_kills("low 0\noom 3\n"), 0);
    }
}
