#!/usr/bin/env bash
# As real root on a bare machine a container is as unprivileged as for anybody: host uid 0 is not in it.
# user: root
# shellcheck source=tests/vm/tap.sh
# shellcheck disable=SC2016    # expanded by the shell in the container
. "$(dirname "$0")/tap.sh"
check 'root pulls' "$c" pull -q oci:/srv/images/busybox:latest
image=$("$c" images -q | head -n 1)

is 'root inside' 0 "$("$c" run --rm --network none "$image" id -u)"
if [[ $c == coracle ]]; then
  # From /root, which nobody else may enter.
  like 'on the overlay of the kernel' ' overlay ' "$("$c" run --rm --network none "$image" head -n 1 /proc/self/mountinfo)"
fi
if [[ $c == coracle ]]; then
  for refused in "-v /root/project:/src $image" docker-archive:/root/image.tar '--rootfs /root/rootfs'; do
    # shellcheck disable=SC2086    # words
    like "$refused is refused, with a way out" 'Hint: Root.s containers are not root outside.* /srv' "$("$c" run --rm --network none $refused true 2>&1)"
  done
fi
map=$("$c" run --rm --network none "$image" cat /proc/self/uid_map)
check 'a payload runs' "$c" run -d --name mapped --network none "$image" sleep 600
init=$("$c" inspect --format '{{.State.Pid}}' mapped)
check "is not root outside ($map)" test "$(stat -c %u "/proc/$init")" -ge 100000
is 'the store is under /var/lib' yes "$([[ -d /var/lib/coracle ]] && echo yes)"
is 'its limits are kept' '67108864 2048' \
  "$("$c" run --rm --network none --memory 64m "$image" sh -c 'echo $(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)')"
exits 'and kill' 137 "$c" run --rm --network none --memory 32m "$image" dd if=/dev/zero of=/dev/null bs=128M count=1
is 'exec works' 'in 0' "$("$c" exec mapped sh -c 'echo in $(id -u)')"
check 'so do pause' "$c" pause mapped
is 'which shows' paused "$("$c" inspect --format '{{.State.Status}}' mapped)"
check 'unpause' "$c" unpause mapped
if [[ $c == coracle ]]; then
  check 'update' "$c" update --pids-limit 9 mapped
  is 'in its cgroup' 9 "$("$c" exec mapped cat /sys/fs/cgroup/pids.max)"
fi
check 'stop' "$c" stop -t 0 mapped
is 'wait' 137 "$("$c" wait mapped)"
check 'and another start' "$c" start mapped
init=$("$c" inspect --format '{{.State.Pid}}' mapped)
cgroup=$(sed 's/^0:://' "/proc/$init/cgroup")
check 'and goes' "$c" rm -f -t 0 mapped
check 'with its cgroup' soon test ! -e "/sys/fs/cgroup${cgroup%/payload}"

# The runtime alone, as an engine of root's uses it: without a user namespace only the cgroup keeps it from devices.
if [[ $c == coracle ]]; then
  bundle=$(mktemp -d)
  mkdir -p "$bundle/rootfs/bin"
  cp /bin/busybox "$bundle/rootfs/bin/"
  for name in sh cat mknod sleep; do ln -s busybox "$bundle/rootfs/bin/$name"; done
  cd "$bundle" && coracle-oci spec
  jq '.process.terminal = false | .process.args = ["sleep", "600"] | .linux.cgroupsPath = "system.slice:coracle:devices"
    | .process.capabilities |= map_values(. + ["CAP_MKNOD", "CAP_DAC_OVERRIDE", "CAP_SYS_RAWIO"])
    | .mounts += [{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]}]' config.json >new && mv new config.json
  inside() { coracle-oci exec devices sh -c "$1" 2>&1; }
  check 'the runtime runs a container without a user namespace' coracle-oci --systemd-cgroup run -d devices
  is 'root of this machine is in it' 0 "$(stat -c %u "/proc/$(coracle-oci state devices | jq .pid)")"
  is 'it may use the usual devices' yes "$(inside 'echo x >/dev/null && test -c /dev/zero && cat </dev/null && echo yes')"
  is 'and make a node of another' made "$(inside 'mknod /tmp/mem c 1 1 && mknod /tmp/disk b 254 0 && echo made')"
  like 'but not open it' 'Operation not permitted' "$(inside 'cat /tmp/mem')"
  like 'nor that of a disk' 'Operation not permitted' "$(inside 'cat /tmp/disk')"
  check 'the manager reads its units again' systemctl daemon-reload
  like 'which changes nothing of that' 'Operation not permitted' "$(inside 'cat /tmp/mem')"
  check 'limits are changed' coracle-oci update --memory 67108864 --pids-limit 9 devices
  is 'in its cgroup' '67108864 9' "$(cd /sys/fs/cgroup/system.slice/coracle-devices.scope && echo "$(<memory.max) $(<pids.max)")"
  is 'and its devices are the same' yes "$(inside 'echo x >/dev/null && ! cat /tmp/mem 2>/dev/null && echo yes')"
  check 'it goes' coracle-oci delete -f devices
  check 'with its scope' soon test ! -e /sys/fs/cgroup/system.slice/coracle-devices.scope
  jq '.linux.resources.devices += [{"allow": true, "type": "b", "major": 254, "minor": 0, "access": "r"}]' config.json >new && mv new config.json
  check 'another may read the disk' coracle-oci --systemd-cgroup run -d devices
  is 'and does' yes "$(inside 'mknod /tmp/disk b 254 0; : </tmp/disk && echo yes')"
  like 'but not write it' 'Operation not permitted' "$(inside 'mknod /tmp/d b 254 0; echo x >/tmp/d')"
  check 'it goes, too' coracle-oci delete -f devices
  # State that another user may write is not acted on: its hooks would run as root.
  chown -R u1 "$bundle" && chmod 755 "$bundle"
  check 'another user has a container' runuser -u u1 -- sh -c \
    'jq "del(.linux.resources, .linux.cgroupsPath)" config.json >new && mv new config.json && coracle-oci --root "$PWD/state" run -d theirs'
  for verb in 'kill theirs KILL' 'delete --force theirs' 'exec theirs true' 'state theirs'; do
    # shellcheck disable=SC2086    # words
    like "root's $verb is refused" 'is not root.s.*belongs to user 100.*' "$(coracle-oci --root "$bundle/state" $verb 2>&1)"
  done
  like 'list shows it' theirs "$(coracle-oci --root "$bundle/state" list)"
  check 'and its owner removes it' runuser -u u1 -- coracle-oci --root "$bundle/state" delete --force theirs
  cd / && rm -rf "$bundle"
fi
plan
