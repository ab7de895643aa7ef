#!/usr/bin/env bash
# Logging out: with lingering a container outlives the login, without it the manager takes it along, and the
# record tells the truth at the next login.
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
as() { local user=$1; shift; timeout 120 ssh -F "$CORACLE_TEST_VM" "$user" "$*"; }
root() { as root "$@"; }
# a lingering user keeps a session of class `manager`
no_session() { [[ -z $(root "loginctl list-sessions --no-legend | grep -w $1 | grep -v manager") ]]; }

for user in u1 u2; do
  image=$(as "$user" "$c pull -q oci:/srv/images/busybox:latest >/dev/null; $c images -q | head -n 1")
  as "$user" "$c run -d --name lingers --network none --memory 64m $image sh -c 'while sleep 1; do echo tick; done'" >/dev/null
done
check 'u1 is logged out' soon no_session u1
check 'u2 is logged out' soon no_session u2
check 'the manager of u2 ends with the session' soon root '! systemctl is-active --quiet user@1001.service'

is 'with lingering the container runs on' running "$(as u1 "$c inspect --format '{{.State.Status}}' lingers")"
like 'another login reads its log' tick "$(as u1 "$c logs --tail 1 lingers")"
is 'and enters its cgroup' 67108864 "$(as u1 "$c exec lingers cat /sys/fs/cgroup/memory.max")"
check 'and removes it' as u1 "$c rm -f -t 0 lingers"

is 'without lingering nothing of it runs' '' "$(root 'pgrep -u u2 -f "[e]cho tick"')"
is 'and the record says so' exited "$(as u2 "$c inspect --format '{{.State.Status}}' lingers")"
check 'it starts again' as u2 "$c start lingers && $c exec lingers true"
check 'and is removed' as u2 "$c rm -f -t 0 lingers"
plan
