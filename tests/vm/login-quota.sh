#!/usr/bin/env bash
# A disk on which a user has a quota: what does not fit is refused before anything is downloaded, and nothing of it stays.
# shellcheck disable=SC2016    # expanded by the shell in the machine
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
as() { local user=$1; shift; timeout 300 ssh -F "$CORACLE_TEST_VM" -l "$user" root "$*"; }
root() { as root "$@"; }

limit() {       # KIBIBYTES: u1's, of the disk; setquota(8) is in no package that is here
  root "python3 - $1" <<'PYTHON'
import ctypes, os, pwd, struct, subprocess, sys
device = subprocess.run("findmnt -no SOURCE /srv/disk", shell=True, capture_output=True, text=True).stdout.strip()
Q_SETQUOTA, USRQUOTA, QIF_BLIMITS = 0x800008, 0, 1
limits = struct.pack("8QI4x", int(sys.argv[1]), 0, 0, 0, 0, 0, 0, 0, QIF_BLIMITS)
libc = ctypes.CDLL(None, use_errno=True)
if libc.quotactl(Q_SETQUOTA << 8 | USRQUOTA, device.encode(), pwd.getpwnam("u1").pw_uid, limits) != 0:
    sys.exit(f"quotactl: {os.strerror(ctypes.get_errno())}")
PYTHON
}

disk() {        # made here: the machine has no mkfs
  local image
  image=$(mktemp) && truncate -s 64M "$image" && /usr/sbin/mkfs.ext4 -q -O quota -E quotatype=usrquota "$image" &&
    gzip -c "$image" | root 'gzip -d >/srv/disk.img' && rm "$image" &&
    root 'set -e; mkdir /srv/disk; mount -o loop /srv/disk.img /srv/disk; install -d -o u1 -g u1 -m 700 /srv/disk/u1'
}

check 'a disk with quotas' disk
check 'a little of it is for u1' limit 600
pull="$c --root /srv/disk/u1/store pull -q oci:/srv/images/busybox:latest"
like 'an image that does not fit is refused' 'Error: .*your quota has no room for its layers.*they need at least [0-9]+ bytes, and your quota leaves [0-9]+ bytes in /srv/disk' \
  "$(as u1 "$pull" 2>&1 | xargs)"
is 'nothing of it stays' '' "$(as u1 'find /srv/disk/u1/store -type f -size +16k' 2>&1)"
check 'there is more for u1' limit 30000
check 'now it fits' as u1 "$pull"
is 'and runs' ran "$(as u1 "$c --root /srv/disk/u1/store run --rm --network none \$($c --root /srv/disk/u1/store images -q) echo ran" 2>/dev/null)"
plan
