#!/usr/bin/env bash
# I/O limits, where the administrator delegated the controller.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

like 'io.max holds the read limit' 'rbps=1048576' "$("$c" run --rm --network none --device-read-bps /dev/vda:1mb "$image" cat /sys/fs/cgroup/io.max 2>&1)"
like 'and the write limit' 'wbps=2097152' "$("$c" run --rm --network none --device-write-bps /dev/vda:2mb "$image" cat /sys/fs/cgroup/io.max 2>&1)"
plan
