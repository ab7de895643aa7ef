# shellcheck shell=bash
# containerd: its own daemon, the runc.v2 shim and ctr, and CRI, as a kubelet uses it, with the handler of
# packaging/containerd's own file. Arguments as `run` gives them.
# shellcheck disable=SC2016     # expanded by the shell in the container
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4 packaging=$5
here=$(dirname "$(realpath "$0")")
socket=/run/containerd-test.sock

# As an administrator does it: the default, and packaging's file below it. CRI's cgroups are systemd's where that runs.
systemd=false
[[ $story == containerd ]] || systemd=true CRI_CGROUP_PARENT=system.slice
export CRI_CGROUP_PARENT=${CRI_CGROUP_PARENT:-/coracle-test}
{
  # The root of a CI container may not lower a score (oom).
  containerd config default | sed "s|^root = .*|root = \"$work/root\"|; s|^state = .*|state = \"/run/containerd-test\"|
    s|/run/containerd/containerd.sock|$socket|; s|^disabled_plugins = .*|disabled_plugins = [\"io.containerd.internal.v1.opt\"]|
    s|restrict_oom_score_adj = false|restrict_oom_score_adj = true|; s|sandbox_image = .*|sandbox_image = \"docker.io/local/pause:latest\"|"
  sed "s/SystemdCgroup = false/SystemdCgroup = $systemd/" "$packaging/containerd/coracle-1.toml"
} >"$work/config.toml"
ctr() { command ctr --address "$socket" "$@"; }
start_daemon() {
  containerd --config "$work/config.toml" >>"$work/log" 2>&1 &
  daemon=$!
  soon ctr version
}
task() { ctr task ls | awk -v id="$1" '$1 == id { print $3 }'; }
# ctr closes its ends of the pipes when the container has ended, whether it has read them or not: what is written must be
# older than the end.
hello='echo hello; sleep 0.2'
run() { ctr run --runc-binary "$runtime" --snapshotter native "$@"; }
stopped() { [[ $(task "$1") == STOPPED ]]; }
nothing() { [[ -z $("$@") ]]; }
cgroups() { find /sys/fs/cgroup -depth -type d -name "*$1*" 2>/dev/null; }
listed() { coracle-oci --root /run/containerd/runc/default list -q; }

check "$story: the daemon starts" start_daemon
# In this shell: `check` redirects, and runs functions in it too, so `daemon` is set.
skopeo copy -q "oci:$images/busybox:latest" "oci-archive:$work/busybox.tar:latest"
check "$story: import" ctr image import --base-name docker.io/local/busybox "$work/busybox.tar"
image=docker.io/local/busybox:latest
is "$story: run" hello "$(run --rm "$image" one sh -c "$hello")"
exits "$story: exit code" 7 run --rm "$image" one sh -c 'exit 7'
exits "$story: a command that is not there" 1 run --rm "$image" one nosuch
like "$story: is told" 'executable file not found' "$(run --rm "$image" one nosuch 2>&1)"
is "$story: with a root of the runtime's elsewhere" hello "$(run --rm --runc-root "$work/elsewhere" "$image" one sh -c "$hello")"
check "$story: run -d" run -d --memory-limit 67108864 "$image" two sleep 1000
is "$story: running" RUNNING "$(task two)"
is "$story: exec" sleep "$(ctr task exec --exec-id e1 two cat /proc/1/comm)"
exits "$story: exec's exit code" 9 ctr task exec --exec-id e2 two sh -c 'exit 9'
check "$story: pause" ctr task pause two
is "$story: paused" PAUSED "$(task two)"
check "$story: resume" ctr task resume two
metrics=$(ctr task metrics two)
like "$story: metrics" 'memory\.(usage_in_bytes|usage|current|limit|usage_limit)|memory' "$metrics"
like "$story: with its limit" 67108864 "$metrics"
like "$story: ps" '[0-9]' "$(ctr task ps two | tail -n 1)"

# The root of the image is the mapped root's: ctr's own way for snapshots that know no maps.
uidmap() { run --snapshotter overlayfs --uidmap 0:200000:65536 --gidmap 0:200000:65536 "$@"; }
is "$story: a user namespace" '0 200000 65536 0' "$(uidmap --rm "$image" mapped sh -c 'echo $(cat /proc/self/uid_map) $(id -u)')"
check "$story: one that stays" uidmap -d "$image" mapped sleep 1000
is "$story: is not root outside" 200000 "$(stat -c %u "/proc/$(ctr task ls | awk '$1 == "mapped" { print $2 }')")"
is "$story: exec is root in it" '0 200000 65536' "$(ctr task exec --exec-id e4 mapped cat /proc/self/uid_map | xargs)"
check "$story: its end" ctr task delete --force mapped
check "$story: and the container's" ctr container delete mapped

if [[ $systemd == true ]]; then
  check "$story: a scope of systemd's" run -d --runc-systemd-cgroup --cgroup system.slice:ctr:scoped "$image" scoped sleep 1000
  like "$story: is where it runs" 'system.slice/ctr-scoped.scope' "$(cat "/proc/$(ctr task ls | awk '$1 == "scoped" { print $2 }')/cgroup")"
  like "$story: and systemd knows it" active "$(systemctl is-active ctr-scoped.scope)"
  check "$story: its end" ctr task delete --force scoped
  check "$story: and the container's" ctr container delete scoped
fi

kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
check "$story: another daemon after kill -9 of the first" start_daemon
is "$story: what ran goes on" RUNNING "$(task two)"
is "$story: and takes an exec" again "$(ctr task exec --exec-id e3 two echo again)"
check "$story: kill" ctr task kill --signal KILL two
check "$story: it stops" soon stopped two
exits "$story: delete says how it ended" '0|137' ctr task delete two
check "$story: delete of the container" ctr container delete two
is "$story: no task is left" '' "$(ctr task ls -q)"
is "$story: and no state of the runtime" '' "$(ls -A /run/containerd/runc/default 2>/dev/null)"

# Daemon and shim at once, while one container runs and another is only created.
check "$story: one that runs" run -d "$image" three sleep 4321
pkill -KILL -f 'containerd-shim-runc-v2 .*-id three'
gone() { [[ $(task three) != RUNNING ]]; }
check "$story: kill -9 of the shim is noticed" soon gone
ctr task delete --force three >/dev/null 2>&1
check "$story: the container is deleted" ctr container delete three
check "$story: another" run -d "$image" four sleep 4321
kill -KILL "$daemon"
pkill -KILL -f 'containerd-shim-runc-v2 .*-id four'
wait "$daemon" 2>/dev/null
# What nobody watches any more is for the runtime's own commands.
for known in $(listed); do
  check "$story: the runtime says how it is" coracle-oci --root /run/containerd/runc/default state "$known"
  check "$story: and deletes it" coracle-oci --root /run/containerd/runc/default delete --force "$known"
done
is "$story: the runtime lists nothing" '' "$(listed)"
is "$story: the payload is gone" '' "$(pgrep -x -f 'sleep 4321' || true)"
check "$story: no cgroup is left" soon nothing cgroups four
check "$story: a daemon after kill -9 of daemon and shim" start_daemon
ctr task delete --force four >/dev/null 2>&1
check "$story: the container is deleted" ctr container delete four
is "$story: run again" hello "$(run --rm "$image" one sh -c "$hello")"

# CRI: the handler is packaging's.
cri() { /usr/bin/python3 "$here/cri.py" "$socket" "$@"; }
/usr/bin/python3 "$here/cri.py" pause "$images/busybox" "$work/pause.tar"
check "$story: CRI's images" ctr -n k8s.io image import "$work/pause.tar"
check "$story: both" ctr -n k8s.io image import --base-name docker.io/local/busybox "$work/busybox.tar"
known() { ctr -n k8s.io image ls -q "labels.\"io.cri-containerd.image\"==managed" | grep -q "$1"; }
check "$story: CRI knows them" soon known docker.io/local/pause
check "$story: CRI knows them, both" soon known docker.io/local/busybox
sandbox=$(cri sandbox coracle pod)
like "$story: CRI: a sandbox with the handler" '^[0-9a-f]{64}$' "$sandbox"
is "$story: CRI: is run by this runtime" "$sandbox" "$(coracle-oci --root /run/containerd/runc/k8s.io list -q)"
like "$story: CRI: an unknown handler is refused" 'no runtime for "nosuch"' "$(cri sandbox nosuch pod2 2>&1)"
id=$(cri create "$sandbox" first "$image" 67108864 sleep 1000)
like "$story: CRI: create" '^[0-9a-f]{64}$' "$id"
check "$story: CRI: start" cri start "$id"
is "$story: CRI: status" running "$(cri status "$id")"
is "$story: CRI: exec" sleep "$(cri exec "$id" cat /proc/1/comm)"
exits "$story: CRI: exec's exit code" 9 cri exec "$id" sh -c 'exit 9'
like "$story: CRI: exec of what is not there" 'executable file not found' "$(cri exec "$id" nosuch 2>&1)"
memory=/sys/fs/cgroup/memory.max
[[ ! -d /sys/fs/cgroup/memory ]] || memory=/sys/fs/cgroup/memory/memory.limit_in_bytes
is "$story: CRI: its limit" 67108864 "$(cri exec "$id" cat "$memory")"
check "$story: CRI: update" cri memory "$id" 100663296
is "$story: CRI: the new limit" 100663296 "$(cri exec "$id" cat "$memory")"
like "$story: CRI: stats" '^[1-9]' "$(cri stats "$id")"
check "$story: CRI: stop" cri stop "$id"
is "$story: CRI: how it ended" 'exited 137' "$(cri status "$id")"
check "$story: CRI: remove" cri remove "$id"
check "$story: CRI: stop of the sandbox" cri stop-sandbox "$sandbox"
check "$story: CRI: remove of the sandbox" cri remove-sandbox "$sandbox"
is "$story: CRI: nothing of the runtime's is left" '' "$(coracle-oci --root /run/containerd/runc/k8s.io list -q)"
check "$story: CRI: no cgroup is left" soon nothing cgroups "$sandbox"
kill "$daemon"
wait "$daemon" 2>/dev/null
plan
