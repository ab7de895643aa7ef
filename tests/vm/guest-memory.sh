#!/usr/bin/env bash
# Memory limits bite: the kernel kills, and the record says so.
# user: u1
# shellcheck disable=SC2016    # expanded by the shell in the container
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
check 'the image is there' "$c" pull -q oci:/srv/images/busybox:latest
image=$("$c" images -q | head -n 1)

eat() { echo dd if=/dev/zero of=/dev/null "bs=$1" count=1; }      # dd touches its whole buffer
is 'memory.max is what was asked' 67108864 "$("$c" run --rm --network none --memory 64m "$image" cat /sys/fs/cgroup/memory.max)"
is 'memory.low is the reservation' 33554432 "$("$c" run --rm --network none --memory-reservation 32m "$image" cat /sys/fs/cgroup/memory.low)"
# shellcheck disable=SC2046
check 'a payload below its limit lives' "$c" run --rm --network none --memory 64m "$image" $(eat 16M)
# shellcheck disable=SC2046
exits 'a payload above it is killed' 137 "$c" run --name greedy --network none --memory 64m "$image" $(eat 256M)
is 'and the record says why' 'true 137' "$("$c" inspect --format '{{.State.OOMKilled}} {{.State.ExitCode}}' greedy)"
"$c" run -d --name killed --network none --memory 64m "$image" sleep 600 >/dev/null
check 'another is killed by hand' "$c" kill --signal KILL killed
is 'which gives the same code' 137 "$("$c" wait killed)"
is 'but is no OOM' false "$("$c" inspect --format '{{.State.OOMKilled}}' killed)"
is 'a killed child leaves the payload alive' 'child 137' \
  "$("$c" run --rm --network none --memory 64m "$image" sh -c "$(eat 256M) 2>/dev/null; echo child \$?" 2>/dev/null)"
if [[ $c == coracle ]]; then
  "$c" run -d --name tuned --network none --memory 64m "$image" sleep 600 >/dev/null
  check 'limits are changed while it runs' "$c" update --memory 96m --memory-swap 128m --cpus 0.5 --pids-limit 20 tuned
  is 'in its cgroup' '100663296 33554432 50000 100000 20' \
    "$("$c" exec tuned sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max memory.swap.max cpu.max pids.max)')"
  check 'it starts again' "$c" restart -t 0 tuned
  is 'with the same' '100663296 20' "$("$c" exec tuned sh -c 'cd /sys/fs/cgroup; echo $(cat memory.max pids.max)')"
  exits 'nonsense is refused' 125 "$c" update --memory 1m --memory-swap 1k tuned
  check 'and it goes' "$c" rm -f -t 0 tuned
fi
check 'both are removed' "$c" rm greedy killed
plan
