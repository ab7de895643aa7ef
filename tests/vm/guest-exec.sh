#!/usr/bin/env bash
# exec enters the container's own cgroup, although this login stands outside the manager's tree and may move nothing.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

"$c" run -d --name host --network none --memory 64m "$image" sleep 600 >/dev/null
init=$("$c" inspect --format '{{.State.Pid}}' host)
cgroup=$(sed 's/^0:://' "/proc/$init/cgroup")
like 'the login is in a session of its own' '/session-' "$(cat /proc/self/cgroup)"
like 'the container is below the user manager' "/user@$UID.service/.*\.scope" "$cgroup"
check 'a detached exec starts' "$c" exec -d host sleep 777
soon pgrep -f '^sleep 777$'
is 'in the cgroup of the container' "0::$cgroup" "$(cat "/proc/$(pgrep -f '^sleep 777$' | head -n 1)/cgroup")"
exits 'an exec dies of the memory limit of its container' 137 "$c" exec host dd if=/dev/zero of=/dev/null bs=256M count=1
is 'which lives on' running "$("$c" inspect --format '{{.State.Status}}' host)"
exits 'an exec returns the code of its command' 9 "$c" exec host sh -c 'exit 9'
is 'a container sees itself at the root of its cgroups' '0::/' "$("$c" exec host cat /proc/self/cgroup)"
check 'the container goes' "$c" rm -f -t 0 host
check 'and its cgroup with it' soon test ! -e "/sys/fs/cgroup$cgroup"
is 'and no scope is left failed' '' "$(systemctl --user --failed --no-legend | grep -i "${c}\|libpod" || true)"
plan
