# shellcheck shell=bash
# podman-rootless, podman-root: what podman asks of a runtime, through conmon. Arguments as `run` gives them.
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4

# Nothing of the machine's or the user's own podman is read or written.
export CONTAINERS_CONF=$work/containers.conf XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config
mkdir -p "$work"/{data,config}
# No limit of pids: the lane of the rootless story has no controllers, and a limit that cannot be set is refused.
printf '[containers]\npids_limit = 0\n' >"$CONTAINERS_CONF"

podman() {
  command podman --log-level=error --root "$work/root" --runroot "$work/runroot" --storage-driver "$driver" \
    --cgroup-manager "$manager" --runtime "$runtime" "$@"
}

lifecycle() {   # MANAGER
  manager=$1
  local label="$story $1"
  is "$label: run" hello "$(podman run --rm --network none "$image" echo hello)"
  exits "$label: exit code" 7 podman run --rm --network none "$image" sh -c 'exit 7'
  exits "$label: a command that is not there" 127 podman run --rm --network none "$image" nosuch
  exits "$label: a command that is no program" 126 podman run --rm --network none "$image" /etc
  check "$label: run -d" podman run -d --name a --network none "$image" \
    sh -c 'echo started; trap "exit 3" TERM; while :; do sleep 0.1; done'
  is "$label: exec" sh "$(podman exec a cat /proc/1/comm)"
  exits "$label: exec's exit code" 9 podman exec a sh -c 'exit 9'
  exits "$label: exec of what is not there" 127 podman exec a nosuch
  like "$label: exec with a terminal" /dev/pts/ "$(podman exec -t a tty)"
  check "$label: pause" podman pause a
  is "$label: paused" paused "$(podman inspect -f '{{.State.Status}}' a)"
  check "$label: unpause" podman unpause a
  is "$label: logs" started "$(podman logs a)"
  like "$label: top" 'sh -c' "$(podman top a)"
  check "$label: restart" podman restart -t 10 a
  check "$label: stop" podman stop -t 10 a
  is "$label: the payload's own exit code" 3 "$(podman inspect -f '{{.State.ExitCode}}' a)"
  check "$label: rm" podman rm a
  check "$label: health check" podman run -d --name h --network none --health-cmd 'test -d /proc/1' "$image" sleep 1000
  check "$label: is healthy" podman healthcheck run h
  check "$label: kill" podman kill h
  is "$label: killed" 137 "$(podman wait h)"
  check "$label: rm -f" podman rm -f -t 0 h
}

pod() {
  manager=cgroupfs
  check "$story: pod create" podman pod create --name p --network none --infra-image "$image" --infra-command 'sleep 1000'
  check "$story: a container in a pod" podman run -d --name b --pod p "$image" sleep 1000
  is "$story: shares the pod's uts namespace" p "$(podman run --rm --pod p "$image" hostname)"
  is "$story: pod status" Running "$(podman pod ps --format '{{.Status}}')"
  check "$story: pod pause" podman pod pause p
  check "$story: pod unpause" podman pod unpause p
  # With v1 podman removes the pod's cgroup before its conmon has left it, says so, and succeeds the second time.
  podman pod rm -f -t 0 p >/dev/null 2>&1
  check "$story: pod rm" podman pod rm -f -i -t 0 p
  is "$story: no pod is left" '' "$(podman pod ps -q)"
}

# kill -9 of what stands between podman and the container: podman finds out, and everything can be removed.
killed_conmon() {
  check "$story: kill -9 of conmon, create" podman create --name k --network none "$image" sleep 1000
  check "$story: kill -9 of conmon, start" podman start k
  local conmon
  conmon=$(podman inspect -f '{{.State.ConmonPid}}' k)
  like "$story: kill -9 of conmon" '^[1-9]' "$conmon"
  [[ $conmon == [1-9]* ]] && kill -KILL "$conmon"
  check "$story: kill -9 of conmon, rm" podman rm -f -t 0 k
  is "$story: nothing is left of it" '' "$(podman ps -aq)"
  is "$story: and the payload is gone" '' "$(pgrep -x -f 'sleep 1000' || true)"
}

limits() {
  manager=cgroupfs
  local file=/sys/fs/cgroup/memory.max
  [[ ! -d /sys/fs/cgroup/memory ]] || file=/sys/fs/cgroup/memory/memory.limit_in_bytes
  check "$story: run with a limit" podman run -d --name l --network none --memory 64m "$image" sleep 1000
  is "$story: the limit is set" 67108864 "$(podman exec l cat "$file")"
  check "$story: update" podman update --memory 96m l
  is "$story: the new limit is set" 100663296 "$(podman exec l cat "$file")"
  check "$story: rm of it" podman rm -f -t 0 l
}

driver=overlay manager=cgroupfs
check "$story: pull" podman pull -q "oci:$images/busybox:latest"
image=$(podman images -q | head -n 1)
lifecycle cgroupfs
# As root it would be the machine's systemd, and this is no place to ask it for scopes.
if [[ $story == podman-rootless ]]; then lifecycle systemd; else limits; fi
pod
killed_conmon
plan
# Files of subordinate ids.
if [[ $story == podman-rootless ]]; then podman unshare bash -c "umount $work/root/overlay; rm -rf $work/*" 2>/dev/null; fi
true
