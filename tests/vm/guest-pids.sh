#!/usr/bin/env bash
# The process limit refuses a fork, and only in its own container.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

is 'pids.max is the limit' 5 "$("$c" run --rm --network none --pids-limit 5 "$image" cat /sys/fs/cgroup/pids.max)"
crowd='for i in 1 2 3 4 5 6 7 8; do sleep 30 & done; echo all'
output=$("$c" run --rm --network none --pids-limit 5 "$image" sh -c "$crowd" 2>&1)
like 'the sixth process is refused' "can't fork" "$output"
is 'eight are allowed below a limit of twenty' all "$("$c" run --rm --network none --pids-limit 20 "$image" sh -c "$crowd")"

"$c" run -d --name full --network none --pids-limit 5 "$image" sh -c 'for i in 1 2 3 4; do sleep 600 & done; wait' >/dev/null
check 'a full container runs' soon test "$("$c" inspect --format '{{.State.Status}}' full)" = running
check 'another container forks all the same' "$c" run --rm --network none --pids-limit 5 "$image" sh -c 'true | true'
check 'the full one can be stopped' "$c" stop -t 1 full
check 'and removed' "$c" rm full
plan
