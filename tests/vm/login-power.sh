#!/usr/bin/env bash
# The power goes while images are pulled and containers are started: nothing that was reported as done is lost, nothing that
# was half done is in the way, and no container is said to run that does not. What has a restart policy is started again.
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
as() { local user=$1; shift; timeout 300 ssh -F "$CORACLE_TEST_VM" -o ServerAliveInterval=5 -o ServerAliveCountMax=3 "$user" "$*"; }
cuts=${CORACLE_TEST_CUTS:-1}
pull="$c pull -q --tls-verify=false 10.9.0.2:${CORACLE_TEST_REGISTRY:?}"
pull=${pull/"$CORACLE_TEST_REGISTRY"/"${CORACLE_TEST_REGISTRY##*:}"}
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$work"' EXIT

boot() { timeout 30 ssh -F "$CORACLE_TEST_VM" root 'cat /proc/sys/kernel/random/boot_id; systemctl is-system-running --wait >/dev/null; systemctl is-active --quiet user@1000.service' 2>/dev/null; }
rebooted() {    # BEFORE: waits for another boot than this one
  local end=$((SECONDS + 400)) now
  until now=$(boot) && [[ $now != "$1" ]]; do ((SECONDS < end)) || return 1; sleep 2; done
}
# Each name that a finished `run -d` printed; the last line may be cut.
lost() { comm -23 <(grep -xE '[0-9a-f]{64}' "$work/started" | sort) <(as u1 "$c ps -aq --no-trunc" | sort); }

check 'an image is pulled before' as u1 "$pull/busybox:latest"
image=$(as u1 "$c images -q | head -n 1")

# u2 has what is to come back, and what is not.
timeout 60 ssh -F "$CORACLE_TEST_VM" root 'loginctl enable-linger u2' </dev/null
check 'the unit that starts them is enabled' as u2 'systemctl --user daemon-reload && systemctl --user enable coracle-restart.service'
check 'another user has the image' as u2 "$c pull -q oci:/srv/images/busybox:latest && $c tag \$($c images -q | head -n 1) bb"
for policy in always unless-stopped no; do check "a container that restarts: $policy" as u2 "$c run -d --name $policy --restart $policy --network none localhost/bb sleep 600"; done
check 'and one that was stopped' as u2 "$c run -d --name stopped --restart unless-stopped --network none localhost/bb sleep 600 && $c stop -t 0 stopped"

for ((cut = 1; cut <= cuts; cut++)); do
  before=$(boot)
  # Two loops in one store until the machine is gone.
  as u1 "while :; do $pull/debian:13; $c rmi -f 10.9.0.2:${CORACLE_TEST_REGISTRY##*:}/debian:13; done" >"$work/pulls" 2>&1 &
  as u1 "while $c run -d --network none $image sleep 600; do :; done" >"$work/started" 2>"$work/failed" &
  check "cut $cut: containers are starting" soon test -s "$work/started"
  sleep $((10 + RANDOM % 15))
  kill -KILL "$(<"$CORACLE_TEST_VM.pid")"
  wait
  echo "# $(grep -c . "$work/started") started, $(grep -c . "$work/pulls") lines of pulls; $(head -n 1 "$work/failed")"
  check "cut $cut: the machine comes up again" rebooted "$before"
  check "cut $cut: what restarts always is started again" soon as u2 "test \$($c inspect --format '{{.State.Status}}' always) = running"
  check "cut $cut: and what nobody had stopped" soon as u2 "test \$($c inspect --format '{{.State.Status}}' unless-stopped) = running"
  is "cut $cut: but nothing else" 'always unless-stopped' "$(as u2 "$c ps --format '{{.Names}}'" | sort | xargs)"
  check "cut $cut: the store is clean" as u1 "$c system check"
  is "cut $cut: no container runs" '' "$(as u1 "$c ps -q" 2>&1)"
  is "cut $cut: none that was started is lost" '' "$(lost 2>&1)"
  is "cut $cut: and all are said to have ended" '' "$(as u1 "$c ps -a --format '{{.State}}' | grep -vE '^(exited|created)$'" 2>&1)"
  check "cut $cut: one of them starts again" as u1 "$c start $(head -n 1 "$work/started") && $c exec $(head -n 1 "$work/started") true"
  check "cut $cut: all are removed" as u1 "$c rm -af -t 0"
  check "cut $cut: the next pull works" as u1 "$pull/debian:13"
  is "cut $cut: and so does its image" 'ID=debian' "$(as u1 "$c run --rm --network none 10.9.0.2:${CORACLE_TEST_REGISTRY##*:}/debian:13 grep ^ID= /etc/os-release" 2>&1)"
  check "cut $cut: the store stays clean" as u1 "$c system check"
  check "cut $cut: the image goes" as u1 "$c rmi -f 10.9.0.2:${CORACLE_TEST_REGISTRY##*:}/debian:13"
done
timeout 120 ssh -F "$CORACLE_TEST_VM" root 'loginctl disable-linger u2' </dev/null
plan
