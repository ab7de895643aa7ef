#!/usr/bin/env bash
# CPU limits: quota throttles, cpuset binds, weight is set.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

is 'cpu.max is the quota' '50000 100000' "$("$c" run --rm --network none --cpus 0.5 "$image" cat /sys/fs/cgroup/cpu.max)"
stat=$("$c" run --rm --network none --cpus 0.2 "$image" sh -c 'timeout 5 sh -c "while :; do :; done"; cat /sys/fs/cgroup/cpu.stat')
used=$(awk '$1 == "usage_usec" { print $2 }' <<<"$stat")
throttled=$(awk '$1 == "nr_throttled" { print $2 }' <<<"$stat")
check "a busy loop of 5 s is throttled ($throttled times)" test "${throttled:-0}" -gt 10
check "and gets about a fifth of a processor ($used us)" test "${used:-9999999}" -lt 2500000
is 'cpuset.cpus is the set' 1 "$("$c" run --rm --network none --cpuset-cpus 1 "$image" cat /sys/fs/cgroup/cpuset.cpus.effective)"
is 'and the payload sees one processor' 1 "$("$c" run --rm --network none --cpuset-cpus 1 "$image" nproc)"
weight=$("$c" run --rm --network none --cpu-shares 512 "$image" cat /sys/fs/cgroup/cpu.weight)
check "half the shares are less than the usual weight ($weight)" test "$weight" -lt 100
plan
