# shellcheck shell=bash
# podman-*: what podman asks of a runtime, through conmon. Arguments as `run` gives them.
#   podman-rootless, podman-root          on this machine
#   podman-vm-rootless, podman-vm-root    in the virtual machine, where systemd and all controllers are real
# podman finds the runtime by name, through packaging/podman's file: one that podman cannot read fails everything.
# shellcheck disable=SC2016     # expanded by the shell in the container
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4 packaging=$5

# Nothing of the machine's or the user's own podman is read or written. packaging's file with the runtime where it lies
# here, by the one variable that podman hands on to the podman that cleans up after a container: without the runtime that one
# fails, and every `podman run` waits 20 s for it.
export XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config CONTAINERS_CONF=$work/containers.conf
mkdir -p "$work/data" "$XDG_CONFIG_HOME"
sed "s|\"/usr/local/bin/coracle-oci\"|\"$runtime\"|" "$packaging/podman/50-coracle.conf" >"$CONTAINERS_CONF"
# The lane of podman-rootless has no controllers, and a limit that cannot be set is refused.
[[ $story != podman-rootless ]] || printf '[containers]\npids_limit = 0\n' >>"$CONTAINERS_CONF"
PATH=$(dirname "$runtime"):$PATH

podman() {
  command podman --log-level=error --root "$work/root" --runroot "$work/runroot" --storage-driver overlay \
    --cgroup-manager "$manager" --runtime coracle-oci "$@"
}
alone() { podman run --rm --network none "$@"; }
# The runtime itself, in podman's user namespace where it has one.
oci() { if [[ $story == *-root ]]; then coracle-oci "$@"; else podman unshare coracle-oci "$@"; fi; }
nothing() { [[ -z $("$@") ]]; }
# podman 5 refuses once, with every runtime: "conmon exited prematurely, exit code could not be retrieved". And where a
# container has just died, podman's own clean-up may be at work beside it: "unlinkat …/shm: device or resource busy".
removed() { podman rm -f -t 0 "$1" || { sleep 1; podman rm -f -t 0 "$1"; }; }
# Those of its cgroups that hold a process. Folders alone may be podman's own, for conmon.
cgroups() { find /sys/fs/cgroup -path "*$1*" -name cgroup.procs -exec grep -l . {} + 2>/dev/null; }

lifecycle() {   # MANAGER
  manager=$1
  local label="$story $1"
  is "$label: run" hello "$(alone "$image" echo hello)"
  exits "$label: exit code" 7 alone "$image" sh -c 'exit 7'
  exits "$label: a command that is not there" 127 alone "$image" nosuch
  exits "$label: a command that is no program" 126 alone "$image" /etc
  check "$label: run -d" podman run -d --name a --network none "$image" \
    sh -c 'echo started; trap "exit 3" TERM; while :; do sleep 0.1; done'
  like "$label: its cgroup" "$([[ $manager == systemd ]] && echo 'libpod-[0-9a-f]{64}\.scope' || echo '/(libpod-)?[0-9a-f]{64}')" \
    "$(cat "/proc/$(podman inspect -f '{{.State.Pid}}' a)/cgroup")"
  is "$label: exec" sh "$(podman exec a cat /proc/1/comm)"
  exits "$label: exec's exit code" 9 podman exec a sh -c 'exit 9'
  exits "$label: exec of what is not there" 127 podman exec a nosuch
  exits "$label: exec of what is no program" 126 podman exec a /etc
  like "$label: exec with a terminal" /dev/pts/ "$(podman exec -t a tty)"
  check "$label: pause" podman pause a
  is "$label: paused" paused "$(podman inspect -f '{{.State.Status}}' a)"
  exits "$label: no exec meanwhile" '1|125|255' podman exec a true
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

codes() {
  local said
  said=$(alone "$image" nosuch 2>&1)
  like "$story: the error is the runtime's own" 'exec: "nosuch": executable file not found in \$PATH' "$said"
  # By the JSON log, which packaging/podman says is there: stderr would come with the runtime's prefix and a hint.
  like "$story: and comes by the log" '^Error: (coracle-oci|OCI runtime)' "$said"
  exits "$story: what podman refuses" 125 podman run --nosuch "$image"
  exits "$story: what the runtime refuses" 126 alone --sysctl kernel.shmmni=x "$image" true
  exits "$story: an entry point that may not be run" 126 alone "$image" /etc/passwd
  exits "$story: a folder that is not there" '126|127' alone --workdir /nosuch/folder "$image" true
  exits "$story: killed by a signal" 143 alone --init "$image" sh -c 'kill -TERM $$; sleep 5'
}

userns() {
  local id map='{ print $1, $3 }'
  if [[ $story == *-rootless ]]; then
    is "$story: --userns keep-id" "$(id -u) $(id -g)" "$(alone --userns keep-id "$image" sh -c 'echo $(id -u) $(id -g)')"
    is "$story: --userns host" 0 "$(alone --userns host "$image" id -u)"
    like "$story: --userns nomap" '^ *0 +1 ' "$(alone --userns nomap "$image" cat /proc/self/uid_map)"
    is "$story: --uidmap" '0 1000' "$(alone --uidmap 0:1:1000 "$image" awk "$map" /proc/self/uid_map)"
    is "$story: --userns auto" '0 2000' "$(alone --userns auto:size=2000 "$image" awk "$map" /proc/self/uid_map)"
  else
    is "$story: --uidmap" '0 1000' "$(alone --uidmap 0:200000:1000 --gidmap 0:200000:1000 "$image" awk "$map" /proc/self/uid_map)"
    check "$story: a container in a user namespace" podman run -d --name u --network none --uidmap 0:200000:1000 "$image" sleep 1000
    is "$story: is not root outside" 200000 "$(stat -c %u "/proc/$(podman inspect -f '{{.State.Pid}}' u)")"
    is "$story: exec is root in it" 0 "$(podman exec u id -u)"
    is "$story: --userns container:" "$(podman exec u readlink /proc/self/ns/user)" "$(alone --userns container:u "$image" readlink /proc/self/ns/user)"
    check "$story: rm of it" removed u
  fi
  id=$(alone --user 1000:1000 "$image" sh -c 'echo $(id -u) $(id -g)')
  is "$story: --user" '1000 1000' "$id"
}

options() {
  like "$story: --init" 'podman-init|catatonit' "$(alone --init "$image" cat /proc/1/comm)"
  like "$story: -t" '/dev/(pts/0|console)' "$(alone -t "$image" tty)"
  is "$story: -i" input "$(echo input | alone -i "$image" cat)"
  is "$story: --cgroups=disabled" in "$(alone --cgroups=disabled "$image" echo in)"
  is "$story: --privileged" yes "$(alone --privileged "$image" sh -c 'mount -t tmpfs t /tmp && echo yes')"
  is "$story: --read-only" no "$(alone --read-only "$image" sh -c 'touch /x 2>/dev/null && echo yes || echo no')"
  is "$story: --cap-drop all" 0000000000000000 "$(alone --cap-drop all "$image" awk '/CapEff/ { print $2 }' /proc/self/status)"
  is "$story: no-new-privileges" 1 "$(alone --security-opt no-new-privileges "$image" awk '/NoNewPrivs/ { print $2 }' /proc/self/status)"
  is "$story: seccomp" '2 0' "$(alone "$image" awk '/Seccomp:/ { print $2 }' /proc/self/status) $(alone --security-opt seccomp=unconfined "$image" awk '/Seccomp:/ { print $2 }' /proc/self/status)"
  is "$story: --ulimit" 77 "$(alone --ulimit nofile=77:77 --ulimit nproc=5000:5000 "$image" sh -c 'ulimit -n')"
  is "$story: --sysctl" 77 "$(alone --sysctl net.core.somaxconn=77 "$image" cat /proc/sys/net/core/somaxconn)"
  is "$story: --hostname" there "$(alone --hostname there "$image" hostname)"
  is "$story: --shm-size" 8192 "$(alone --shm-size 8m "$image" df -k /dev/shm | awk 'END { print $2 }')"
  is "$story: --tmpfs" tmpfs "$(alone --tmpfs /t "$image" awk '$2 == "/t" { print $3 }' /proc/mounts)"
  echo outside >"$work/file"
  is "$story: -v, read-only" 'outside no' "$(alone -v "$work/file:/in:ro" "$image" sh -c 'echo $(cat /in) $(echo x 2>/dev/null >/in && echo yes || echo no)')"
  is "$story: --device" yes "$(alone --device /dev/null:/dev/mine "$image" sh -c 'echo x >/dev/mine && echo yes')"
  is "$story: --preserve-fds" kept "$(alone --preserve-fds 1 "$image" cat /proc/self/fd/3 3<<<kept)"
  like "$story: --systemd=always" ' /run tmpfs ' "$(alone --systemd=always "$image" cat /proc/mounts)"
  check "$story: a container for others to join" podman run -d --name j --network none "$image" sleep 1000
  is "$story: --pid container:" sleep "$(alone --pid container:j "$image" cat /proc/1/comm)"
  is "$story: --ipc container:" "$(podman exec j readlink /proc/self/ns/ipc)" "$(alone --ipc container:j "$image" readlink /proc/self/ns/ipc)"
  [[ $story == *-rootless ]] || is "$story: --pid host" yes "$(alone --pid host "$image" sh -c "test -d /proc/$$ && echo yes")"
  is "$story: exec -u -w -e" '1000 /etc v' "$(podman exec -u 1000 -w /etc -e X=v j sh -c 'echo $(id -u) $PWD $X')"
  is "$story: exec -i" input "$(echo input | podman exec -i j cat)"
  check "$story: exec -d" podman exec -d j sleep 999
  like "$story: goes on" 999 "$(podman exec j ps)"
  is "$story: exec --privileged" "$(alone --privileged "$image" awk '/CapEff/ { print $2 }' /proc/self/status)" \
    "$(podman exec --privileged j awk '/CapEff/ { print $2 }' /proc/self/status)"
  check "$story: rm of it" removed j
}

pod() {
  check "$story: pod create" podman pod create --name p --network none --infra-image "$image" --infra-command 'sleep 1000'
  check "$story: a container in a pod" podman run -d --name b --pod p "$image" sleep 1000
  is "$story: shares the pod's uts namespace" p "$(podman run --rm --pod p "$image" hostname)"
  is "$story: pod status" Running "$(podman pod ps --format '{{.Status}}')"
  check "$story: pod pause" podman pod pause p
  check "$story: pod unpause" podman pod unpause p
  check "$story: pod stop" podman pod stop -t 0 p
  check "$story: pod start" podman pod start p
  is "$story: it is up again" Running "$(podman pod ps --format '{{.Status}}')"
  # With v1 podman removes the pod's cgroup before its conmon has left it, says so, and succeeds the second time.
  podman pod rm -f -t 0 p >/dev/null 2>&1
  check "$story: pod rm" podman pod rm -f -i -t 0 p
  is "$story: no pod is left" '' "$(podman pod ps -q)"
}

# kill -9 of what stands between podman and the container: podman finds out, and everything can be removed.
left() {        # WHAT ID: nothing is; what podman forgot the runtime knows and removes
  local known
  is "$story: $1: podman has nothing left" '' "$(podman ps -aq)"
  for known in $(oci list -q); do
    check "$story: $1: the runtime says how it is" oci state "$known"
    check "$story: $1: and deletes it" oci delete --force "$known"
  done
  is "$story: $1: the runtime lists nothing" '' "$(oci list -q)"
  is "$story: $1: the payload is gone" '' "$(pgrep -x -f 'sleep 4321' || true)"
  check "$story: $1: no cgroup is left" soon nothing cgroups "$2"
}
killed() {
  local conmon id
  id=$(podman create --name k --network none "$image" sleep 4321)
  check "$story: kill -9 of conmon after create" podman init k
  conmon=$(podman inspect -f '{{.State.ConmonPid}}' k)
  like "$story: whose process is" '^[1-9]' "$conmon"
  [[ $conmon != [1-9]* ]] || kill -KILL "$conmon"
  check "$story: kill -9 of conmon after create, rm" podman rm -f -t 0 k
  left 'kill -9 of conmon after create' "$id"

  id=$(podman run -d --name k --network none "$image" sleep 4321)
  conmon=$(podman inspect -f '{{.State.ConmonPid}}' k)
  like "$story: kill -9 of conmon while it runs" '^[1-9]' "$conmon"
  [[ $conmon != [1-9]* ]] || kill -KILL "$conmon"
  check "$story: kill -9 of conmon while it runs, rm" removed k
  left 'kill -9 of conmon while it runs' "$id"

  # podman itself, at moments from before its conmon to after the start.
  local wait
  for wait in 0.05 0.1 0.15 0.2 0.3 0.5; do
    podman run -d --name k --network none "$image" sleep 4321 >/dev/null 2>&1 &
    sleep "$wait"
    pkill -KILL -P $! 2>/dev/null
    kill -KILL $! 2>/dev/null
    wait $! 2>/dev/null
    podman rm -f -i -t 0 k >/dev/null 2>&1 || podman rm -f -i -t 0 k >/dev/null 2>&1
    podman rm -f -a -t 0 >/dev/null 2>&1
  done
  left 'kill -9 of podman' libpod-
}

limits() {
  local file=/sys/fs/cgroup/memory.max pids=/sys/fs/cgroup/pids.max
  [[ ! -d /sys/fs/cgroup/memory ]] || file=/sys/fs/cgroup/memory/memory.limit_in_bytes pids=/sys/fs/cgroup/pids/pids.max
  check "$story: run with limits" podman run -d --name l --network none --memory 64m --pids-limit 50 --cpus 0.5 "$image" sleep 1000
  is "$story: the limits are set" '67108864 50' "$(podman exec l cat "$file" "$pids" | xargs)"
  check "$story: update" podman update --memory 96m l
  is "$story: the new limit is set" '100663296 50' "$(podman exec l cat "$file" "$pids" | xargs)"
  like "$story: stats" '^l [0-9.]+k?B / (67.11|100.7)MB 1$' "$(podman stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' l)"
  exits "$story: too much memory is its end" 137 alone --memory 32m --memory-swap 32m "$image" dd if=/dev/zero of=/dev/null bs=128M count=1
  check "$story: rm of it" removed l
}

manager=cgroupfs
check "$story: pull" podman pull -q "oci:$images/busybox:latest"
image=$(podman images -q | head -n 1)
like "$story: podman takes packaging's file" 'coracle-oci|crun|runc' "$(podman info -f '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Version}}')"
lifecycle cgroupfs
# As root of this machine it would be the machine's systemd, and this is no place to ask it for scopes.
if [[ $story != podman-root ]]; then lifecycle systemd; fi
if [[ $story != podman-rootless ]]; then limits; fi
codes
userns
options
manager=cgroupfs
pod
killed
plan
# Empty cgroups that podman made and was killed before it could remove.
[[ $story == *-rootless ]] || find /sys/fs/cgroup -depth -type d -path '*/libpod_parent/*' -exec rmdir {} \; 2>/dev/null
# Files of subordinate ids.
if [[ $story == *-rootless ]]; then podman unshare bash -c "umount $work/root/overlay; rm -rf $work/*" 2>/dev/null; fi
true
