#!/usr/bin/env bash
# A store for all users that the machine's administrator has filled, who is root.
# u1 has subordinate ids, u3 has none.
# shellcheck disable=SC2016    # expanded by the shell in the machine
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
as() { local user=$1; shift; timeout 300 ssh -F "$CORACLE_TEST_VM" -l "$user" root "$*"; }
root() { as root "$@"; }

check 'root marks an empty store' root "$c --root /srv/apps/containers system share"
check 'and fills it' root "$c --root /srv/apps/containers pull -q oci:/srv/images/busybox:latest"
for user in u1 u3; do check "$user has no image of their own" as $user "$c rmi --all --force"; done
check 'site.toml names it' root 'mkdir -p /etc/coracle; echo "stores = [\"/srv/apps/containers\"]" >/etc/coracle/site.toml'
state='find /srv/apps/containers -printf "%p %u %m %s %T@\n" | sort | sha256sum'
image=$(as u1 "$c images -q | head -n 1")
like 'everybody sees its image' '^[0-9a-f]{12}$' "$image"
before=$(root "$state")
for user in u1 u3; do
  is "$user: a container of it" "ran" "$(as $user "$c run --rm --network none $image echo ran" 2>/dev/null)"
  is "$user: files are as the image says" '0:0 0:0 0:0 1777' \
    "$(as $user "$c run --rm --network none $image sh -c 'stat -c %u:%g / /etc /etc/passwd; stat -c %a /tmp'" 2>/dev/null | xargs)"
  is "$user: what is written is the container's own" 'mine' \
    "$(as $user "$c run --rm --network none $image sh -c 'echo mine >/etc/passwd; cat /etc/passwd'" 2>/dev/null)"
  check "$user: a box" as $user "$c toolbox create --image $image shared && $c toolbox run -c shared true && $c toolbox rm -f shared"
  exits "$user: it is not theirs to remove" '[1-9]*' as $user "$c rmi -f $image"
done
is 'nobody has changed it' "$before" "$(root "$state")"
like "whose store is somebody's is no place of root's" 'Error: cannot prepare /home/u1/theirs.*Caused by: it belongs to uid [0-9]+, not to root' \
  "$(as u1 mkdir theirs; root "$c --root /home/u1/theirs images" 2>&1)"
is 'and stays theirs' u1 "$(root stat -c %U /home/u1/theirs)"
plan
