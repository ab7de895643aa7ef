#!/usr/bin/env bash
# The process limit refuses a fork, and only in its own container.
# user: u1
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
"$c" pull -q oci:/srv/images/busybox:latest >/dev/null
image=$("$c" images -q | head -n 1)

is 'pids.max is the limit' 5 "$("$c" run --rm --network none --pids-limit 5 "$image" cat /sys/fs/cgroup/pids.max)"
is 'without a word the limit is 2048' 2048 "$("$c" run --rm --network none "$image" cat /sys/fs/cgroup/pids.max)"
is 'and 0 means none' max "$("$c" run --rm --network none --pids-limit 0 "$image" cat /sys/fs/cgroup/pids.max)"
if [[ $c == coracle ]]; then
  printf '[containers]\npids_limit = 77\n' >"$HOME/containers.conf"
  is 'containers.conf may say another' 77 "$(CONTAINERS_CONF=$HOME/containers.conf "$c" run --rm --network none "$image" cat /sys/fs/cgroup/pids.max)"
  is 'which the command line overrules' 5 "$(CONTAINERS_CONF=$HOME/containers.conf "$c" run --rm --network none --pids-limit 5 "$image" cat /sys/fs/cgroup/pids.max)"
fi
crowd='for i in 1 2 3 4 5 6 7 8; do sleep 30 & done; echo all'
output=$("$c" run --rm --network none --pids-limit 5 "$image" sh -c "$crowd" 2>&1)
like 'the sixth process is refused' "can't fork" "$output"
is 'eight are allowed below a limit of twenty' all "$("$c" run --rm --network none --pids-limit 20 "$image" sh -c "$crowd")"

"$c" run -d --name full --network none --pids-limit 5 "$image" sh -c 'for i in 1 2 3 4; do sleep 600 & done; wait' >/dev/null
check 'a full container runs' soon test "$("$c" inspect --format '{{.State.Status}}' full)" = running
check 'another container forks all the same' "$c" run --rm --network none --pids-limit 5 "$image" sh -c 'true | true'
check 'the full one can be stopped' "$c" stop -t 1 full
check 'and removed' "$c" rm full

# The limit that is written down and the one of the cgroup are the same, whoever was first.
if [[ $c == coracle ]]; then
  for round in 1 2 3; do
    "$c" create --name raced --network none "$image" sleep 600 >/dev/null
    "$c" start raced >/dev/null &
    "$c" update --pids-limit 2$round raced >/dev/null &
    wait
    is "a limit changed during a start, $round" "2$round 2$round" \
      "$("$c" inspect --format '{{.HostConfig.PidsLimit}}' raced) $("$c" exec raced cat /sys/fs/cgroup/pids.max)"
    "$c" rm -f -t 0 raced >/dev/null
  done
fi
plan
