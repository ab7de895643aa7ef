#!/usr/bin/env bash
# A home on a file server, as on a cluster: only its user gets in (root_squash), and no file there gets a subordinate id. Layers
# go to the machine's disk; boxes, volumes and images in one file work at home. n4 has subordinate ids and NFSv4; in tier full
# there is also n3, with one id and NFSv3.
# shellcheck disable=SC2016    # expanded by the shell in the machine
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
as() { local user=$1; shift; timeout 300 ssh -F "$CORACLE_TEST_VM" -l "$user" root "$*"; }
root() { as root "$@"; }
full() { [[ ${CORACLE_TEST_TIER:-full} == full ]]; }

home() {        # USER VERSION: a user whose home is at the server
  root "set -e; useradd -M -s /bin/bash $1; mkdir -p /home/$1; cd /srv/homes; install -d -o $1 -g $1 -m 700 $1 $1/.ssh
    install -o $1 -g $1 -m 600 /home/u1/.ssh/authorized_keys $1/.ssh/; loginctl enable-linger $1; $(mounted "$@")"
}
mounted() { echo "mount -t nfs -o vers=$2 127.0.0.1:/srv/homes/$1 /home/$1"; }

check 'a server' root 'mkdir /srv/homes; echo "/srv/homes 127.0.0.1(rw,sync,root_squash,no_subtree_check)" >/etc/exports; systemctl start nfs-server'
check 'a home is there' home n4 4.2

like 'the first pull says where images are' 'Warning: /home/n4/.local/share/coracle is on a file system that machines share \(nfs\): .* /var/tmp/coracle-' \
  "$(as n4 "$c pull -q oci:/srv/images/busybox:latest 2>&1 >/dev/null")"
image=$(as n4 "$c images -q | head -n 1")
is 'which is said once, and a container runs' ran "$(as n4 "$c run --rm --network none $image echo ran 2>&1")"
is 'nothing of it is at home' '' "$(as n4 'ls -A ~/.local ~/.config 2>/dev/null')"
is 'what root of a container writes at home is ours' 'in n4 n4 600' \
  "$(as n4 "$c run --rm --network none -v ~:/h $image sh -c 'umask 077; echo in >/h/written'; cat written; stat -c '%U %G %a' written" | xargs)"
is 'a volume below the home of a container' 'images n4' \
  "$(as n4 "$c run --rm --network none --userns keep-id -v ~:/home/n4 -v /srv/images:/home/n4/below/images $image ls /home/n4/below; stat -c %U below" | xargs)"

check 'a box is made' as n4 "$c toolbox create --image $image box"
is 'which is at home' 'n4 /home/n4' "$(as n4 "$c toolbox enter box -- sh -c 'umask 022; echo boxed >boxed; echo \$(id -un) \$PWD'")"
is 'and writes there as we do' 'boxed n4 n4 644' "$(as n4 "cat boxed; stat -c '%U %G %a' boxed" | xargs)"

check 'an image is written home' as n4 "$c image squash $image app.sqsh"
check 'and runs from there' as n4 "$c run -d --name app --network none ~/app.sqsh sleep 600"
monitor=$(as n4 "$c inspect --format '{{.State.ConmonPid}}' app")
root "kill -KILL $monitor"
check 'the death of its monitor ends it' soon as n4 "test \$($c inspect --format '{{.State.Status}}' app) = exited"
check 'and it starts again' as n4 "$c start app && $c exec app true"

check 'they go' as n4 "$c rm -f -t 0 app && $c toolbox rm -f box"
check 'a directory with an image goes right after a run' as n4 "for how in --hpc --network=none; do for i in 1 2 3 4 5; do mkdir d && cp app.sqsh d && $c run --rm \$how d/app.sqsh true && rm -r d || exit; done; done"

if full; then
  check 'a box with a home above ours' as n4 "$c toolbox create --home overlay --image $image above"
  as n4 "$c toolbox enter above -- sh -c 'echo changed >boxed; mkdir new; echo new >new/file; rm written'"
  is 'leaves ours alone' 'boxed in' "$(as n4 'cat boxed written' | xargs)"
  is 'says what it changed' 'C boxed A new A new/file D written' "$(as n4 "$c toolbox home diff above" | xargs)"
  check 'and makes it ours' as n4 "$c toolbox stop above && $c toolbox home commit above && grep changed boxed && test ! -e written && $c toolbox rm -f above"
  is 'whose it is' 'n4 n4' "$(as n4 'stat -c %U boxed new/file' | xargs)"

  check 'another home is there, of a user with one id, by NFSv3' home n3 3
  root "sed -i '/^n3:/d' /etc/subuid /etc/subgid"
  check 'the image is pulled' as n3 "$c pull -q oci:/srv/images/busybox:latest"
  is 'what a container writes at home is ours, whatever it thinks' '5 n3' \
    "$(as n3 "$c run --rm --network none -v ~:/h $image sh -c 'echo in >/h/written; chown 5 /h/written; stat -c %u /h/written' 2>/dev/null; stat -c %U written" | xargs)"
  check 'a box is made' as n3 "$c toolbox create --image $image box"
  is 'which is at home' 'n3 /home/n3' "$(as n3 "$c toolbox enter box -- sh -c 'echo boxed >boxed; echo \$(id -un) \$PWD'")"
  is 'and writes there as we do' 'boxed n3' "$(as n3 "cat boxed; stat -c %U boxed" | xargs)"
  check 'an image is written home' as n3 "$c image squash $image app.sqsh"
  is 'and runs from there' 'from file' "$(as n3 "$c run --rm --network none app.sqsh echo from file" 2>/dev/null)"
  check 'it goes' as n3 "$c toolbox rm -f box"
fi
plan
