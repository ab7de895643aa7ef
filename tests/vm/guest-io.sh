#!/usr/bin/env bash
# I/O limits, where the administrator delegated the controller.
# user: u1
# shellcheck source=tests/vm/tap.sh
# shellcheck disable=SC2016    # expanded by the shell in the container
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)
max() { "$c" run --rm --network none "$@" "$image" cat /sys/fs/cgroup/io.max 2>&1; }

like 'io.max holds the read limit' 'rbps=1048576' "$(max --device-read-bps /dev/vda:1mb)"
like 'and the write limit' 'wbps=2097152' "$(max --device-write-bps /dev/vda:2mb)"
like 'all four go together' 'rbps=1048576 wbps=2097152 riops=100 wiops=200' \
  "$(max --device-read-bps /dev/vda:1mb --device-write-bps /dev/vda:2mb --device-read-iops /dev/vda:100 --device-write-iops /dev/vda:200)"
# 4 MiB at 1 MiB/s, past the page cache
seconds=$("$c" run --rm --network none --device-write-bps /dev/vda:1mb -v "$HOME:/d" "$image" sh -c \
  'a=$(cut -d. -f1 /proc/uptime); dd if=/dev/zero of=/d/slow bs=1M count=4 oflag=direct 2>/dev/null || exit; echo $(($(cut -d. -f1 /proc/uptime) - a))')
check "four MiB take three seconds and more ($seconds)" test "${seconds:-0}" -ge 3
rm -f "$HOME/slow"
is 'inspect shows it' '[{"Path":"/dev/vda","Rate":1048576}]' "$(
  "$c" create --name limited --network none --device-read-bps /dev/vda:1mb "$image" true >/dev/null
  "$c" inspect limited | jq -c '.[0].HostConfig.BlkioDeviceReadBps')"
check 'and goes' "$c" rm limited

weight=$("$c" run --rm --network none --blkio-weight 500 "$image" sh -c 'cat /sys/fs/cgroup/io.bfq.weight 2>/dev/null || cat /sys/fs/cgroup/io.weight' 2>&1)
like "the weight is set ($weight)" '^default (500|4950)' "$weight"
exits 'a device that is none is refused before the start' 125 "$c" run --rm --network none --device-read-bps /dev/null:1mb "$image" true
plan
