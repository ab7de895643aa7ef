# shellcheck shell=bash
# containerd: its own daemon, the runc.v2 shim and ctr. Arguments as `run` gives them.
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4

cat >"$work/config.toml" <<TOML
version = 2
root = "$work/root"
state = "/run/containerd-test"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
address = "/run/containerd-test.sock"
TOML
ctr() { command ctr --address /run/containerd-test.sock "$@"; }
start_daemon() {
  containerd --config "$work/config.toml" >>"$work/log" 2>&1 &
  daemon=$!
  soon ctr version
}
task() { ctr task ls | awk -v id="$1" '$1 == id { print $3 }'; }
run() { ctr run --runc-binary "$runtime" --snapshotter native "$@"; }
stopped() { [[ $(task "$1") == STOPPED ]]; }

check "$story: the daemon starts" start_daemon
# In this shell: `check` redirects, and runs functions in it too, so `daemon` is set.
skopeo copy -q "oci:$images/busybox:latest" "oci-archive:$work/busybox.tar:latest"
check "$story: import" ctr image import --base-name local/busybox "$work/busybox.tar"
image=local/busybox:latest
is "$story: run" hello "$(run --rm "$image" one echo hello)"
exits "$story: exit code" 7 run --rm "$image" one sh -c 'exit 7'
exits "$story: a command that is not there" 1 run --rm "$image" one nosuch
check "$story: run -d" run -d --memory-limit 67108864 "$image" two sleep 1000
is "$story: running" RUNNING "$(task two)"
is "$story: exec" sleep "$(ctr task exec --exec-id e1 two cat /proc/1/comm)"
exits "$story: exec's exit code" 9 ctr task exec --exec-id e2 two sh -c 'exit 9'
check "$story: pause" ctr task pause two
is "$story: paused" PAUSED "$(task two)"
check "$story: resume" ctr task resume two
like "$story: metrics" memory "$(ctr task metrics two)"
like "$story: ps" '[0-9]' "$(ctr task ps two | tail -n 1)"
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
kill "$daemon"
wait "$daemon" 2>/dev/null
plan
