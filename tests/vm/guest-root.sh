#!/usr/bin/env bash
# As real root on a bare machine a container is as unprivileged as for anybody: host uid 0 is not in it.
# user: root
# shellcheck source=tests/vm/tap.sh
# shellcheck disable=SC2016    # expanded by the shell in the container
. "$(dirname "$0")/tap.sh"
check 'root pulls' "$c" pull -q oci:/srv/images/busybox:latest
image=$("$c" images -q | head -n 1)

is 'root inside' 0 "$("$c" run --rm --network none "$image" id -u)"
map=$("$c" run --rm --network none "$image" cat /proc/self/uid_map)
check 'a payload runs' "$c" run -d --name mapped --network none "$image" sleep 600
init=$("$c" inspect --format '{{.State.Pid}}' mapped)
check "is not root outside ($map)" test "$(stat -c %u "/proc/$init")" -ge 100000
is 'the store is under /var/lib' yes "$([[ -d /var/lib/coracle ]] && echo yes)"
is 'its limits are kept' '67108864 2048' \
  "$("$c" run --rm --network none --memory 64m "$image" sh -c 'echo $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)')"
exits 'and kill' 137 "$c" run --rm --network none --memory 32m "$image" dd if=/dev/zero of=/dev/null bs=128M count=1
is 'exec works' 'in 0' "$("$c" exec mapped sh -c 'echo in $(id -u)')"
cgroup=$(sed 's/^0:://' "/proc/$init/cgroup")
check 'and goes' "$c" rm -f -t 0 mapped
check 'with its cgroup' soon test ! -e "/sys/fs/cgroup${cgroup%/payload}"
plan
