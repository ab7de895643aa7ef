#!/usr/bin/env bash
# Ways to start a container that are not a login shell: a user service, and an environment with nothing in it.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

check 'from a service of the user manager' systemd-run --user --quiet --wait --collect "$(command -v "$c")" run --rm --network none "$image" true
is 'with limits' 67108864 "$(systemd-run --user --quiet --wait --collect --pipe "$(command -v "$c")" run --rm --network none --memory 64m "$image" cat /sys/fs/cgroup/memory.max)"
is 'without XDG_RUNTIME_DIR and bus address' yes "$(env -i HOME="$HOME" PATH="$PATH" "$c" run --rm --network none "$image" echo yes 2>/dev/null)"
check 'from a systemd unit that outlives it' systemd-run --user --quiet --wait --collect "$(command -v "$c")" run -d --name kept --network none "$image" sleep 600
is 'the container goes on' running "$("$c" inspect --format '{{.State.Status}}' kept)"
check 'and is removed' "$c" rm -f -t 0 kept
plan
