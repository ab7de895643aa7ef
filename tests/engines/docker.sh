# shellcheck shell=bash
# docker: dockerd with its own containerd, through packaging/docker's own file, and BuildKit, which is part of it. Arguments
# as `run` gives them. No bridge, no firewall: networks are not what a runtime does.
# shellcheck disable=SC2016     # expanded by the shell in the container
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4 packaging=$5
driver=${CORACLE_TEST_CGROUP_DRIVER:-cgroupfs}
export DOCKER_HOST=unix:///run/docker-test.sock DOCKER_CONFIG=$work/config
# BuildKit inside dockerd runs whatever is called `runc`.
mkdir "$work/as-runc"
ln -s "$runtime" "$work/as-runc/runc"

start_daemon() {
  PATH=$work/as-runc:$PATH dockerd --config-file "$packaging/docker/daemon.json" --data-root "$work/root" --exec-root /run/docker \
    --pidfile /run/docker-test.pid --host "$DOCKER_HOST" --iptables=false --ip6tables=false --ip-forward=false --bridge=none \
    --exec-opt "native.cgroupdriver=$driver" --default-runtime coracle >>"$work/log" 2>&1 &
  daemon=$!
  soon docker version
}
# Since the root of the daemon's containerd and of its shims is ours alone, so is what they leave.
states=/run/docker/runtime-runc/moby
listed() { coracle-oci --root "$states" list -q; }
nothing() { [[ -z $("$@") ]]; }
cgroups() { find /sys/fs/cgroup -depth -type d -name "*$1*" 2>/dev/null; }
status() { docker inspect -f '{{.State.Status}}' "$1"; }
becomes() { [[ $(status "$1") == "$2" ]]; }
alone() { docker run --rm --network none "$@"; }

check "$story: the daemon starts" start_daemon
skopeo copy -q "oci:$images/busybox:latest" "docker-archive:$work/busybox.tar:busybox:latest"
check "$story: load" docker load -i "$work/busybox.tar"
like "$story: it knows the runtime of packaging's file" coracle "$(docker info -f '{{json .Runtimes}}')"
is "$story: run" hello "$(alone busybox echo hello)"
is "$story: run --runtime" hello "$(alone --runtime coracle busybox echo hello)"
exits "$story: exit code" 7 alone busybox sh -c 'exit 7'
exits "$story: a command that is not there" 127 alone busybox nosuch
exits "$story: a command that is no program" 126 alone busybox /etc
exits "$story: a bad option" 125 alone --nosuch busybox
exits "$story: what the runtime refuses" '12[5-7]' alone --sysctl kernel.shmmni=x busybox true
is "$story: --user" '1000 1000' "$(alone --user 1000:1000 busybox sh -c 'echo $(id -u) $(id -g)')"
like "$story: -t" /dev/ "$(alone -t busybox tty)"
is "$story: -i" input "$(echo input | alone -i busybox cat)"
is "$story: --read-only" no "$(alone --read-only busybox sh -c 'touch /x 2>/dev/null && echo yes || echo no')"
is "$story: --cap-drop all" 0000000000000000 "$(alone --cap-drop all busybox awk '/CapEff/ { print $2 }' /proc/self/status)"
# All capabilities are more than the root of a CI container has; the virtual machine's has them.
[[ $story == docker ]] && many=(--cap-add SYS_ADMIN) || many=(--privileged)
is "$story: ${many[*]}" yes "$(alone "${many[@]}" busybox sh -c 'mount -t tmpfs t /tmp && echo yes')"
is "$story: seccomp" 2 "$(alone busybox awk '/Seccomp:/ { print $2 }' /proc/self/status)"
is "$story: --ulimit" 77 "$(alone --ulimit nofile=77:77 busybox sh -c 'ulimit -n')"
is "$story: --tmpfs" tmpfs "$(alone --tmpfs /t busybox awk '$2 == "/t" { print $3 }' /proc/mounts)"
echo outside >"$work/file"
is "$story: -v, read-only" 'outside no' "$(alone -v "$work/file:/in:ro" busybox sh -c 'echo $(cat /in) $(echo x 2>/dev/null >/in && echo yes || echo no)')"
is "$story: --device" yes "$(alone --device /dev/null:/dev/mine busybox sh -c 'echo x >/dev/mine && echo yes')"
is "$story: --hostname" there "$(alone --hostname there busybox hostname)"

memory=/sys/fs/cgroup/memory.max
[[ ! -d /sys/fs/cgroup/memory ]] || memory=/sys/fs/cgroup/memory/memory.limit_in_bytes
check "$story: run -d" docker run -d --name a1 --network none --memory 64m --health-cmd 'test -d /proc/1' --health-interval 1s busybox \
  sh -c 'echo started; trap "exit 3" TERM; while :; do sleep 0.1; done'
is "$story: its limit" 67108864 "$(docker exec a1 cat "$memory")"
check "$story: update" docker update --memory 96m --memory-swap 192m a1
is "$story: the new limit" 100663296 "$(docker exec a1 cat "$memory")"
is "$story: exec" sh "$(docker exec a1 cat /proc/1/comm)"
exits "$story: exec's exit code" 9 docker exec a1 sh -c 'exit 9'
exits "$story: exec of what is not there" '12[67]' docker exec a1 nosuch
like "$story: exec -t" /dev/pts/ "$(docker exec -t a1 tty)"
is "$story: exec -u -w -e" '1000 /etc v' "$(docker exec -u 1000 -w /etc -e X=v a1 sh -c 'echo $(id -u) $PWD $X')"
check "$story: pause" docker pause a1
is "$story: paused" paused "$(status a1)"
check "$story: unpause" docker unpause a1
is "$story: logs" started "$(docker logs a1)"
like "$story: top" 'sh -c' "$(docker top a1)"
like "$story: stats" 'iB / 96MiB [1-9]' "$(docker stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' a1)"
healthy() { [[ $(docker inspect -f '{{.State.Health.Status}}' a1) == healthy ]]; }
check "$story: health check" soon healthy
check "$story: restart" docker restart -t 10 a1
check "$story: stop" docker stop -t 10 a1
is "$story: the payload's own exit code" 3 "$(docker inspect -f '{{.State.ExitCode}}' a1)"
check "$story: rm" docker rm a1
exits "$story: too much memory is its end" 137 alone --memory 32m --memory-swap 32m busybox dd if=/dev/zero of=/dev/null bs=128M count=1
check "$story: a container for others to join" docker run -d --name j1 --network none --ipc shareable busybox sleep 1000
is "$story: --pid container:" sleep "$(alone --pid container:j1 busybox cat /proc/1/comm)"
is "$story: --ipc container:" "$(docker exec j1 readlink /proc/self/ns/ipc)" "$(alone --ipc container:j1 busybox readlink /proc/self/ns/ipc)"
check "$story: rm -f" docker rm -f j1

mkdir "$work/context"
printf 'FROM busybox\nRUN echo "built by $(id -u)" >/f\nUSER 1000\nRUN test "$(id -u)" = 1000 && cat /f\n' >"$work/context/Dockerfile"
printf 'FROM busybox\nRUN exit 5\n' >"$work/context/Fails"
check "$story: the old builder" env DOCKER_BUILDKIT=0 docker build --network none -t old "$work/context"
is "$story: what it built" 'built by 0' "$(alone old cat /f)"
if [[ $story == docker ]]; then
  # Later versions want a plug-in for it.
  check "$story: BuildKit" env DOCKER_BUILDKIT=1 docker build --network none -t new "$work/context"
  is "$story: what it built" 'built by 0' "$(alone new cat /f)"
  exits "$story: a RUN that fails" 1 env DOCKER_BUILDKIT=1 docker build --network none -f "$work/context/Fails" "$work/context"
  like "$story: is told with its code" 'exit code: 5' "$(DOCKER_BUILDKIT=1 docker build --network none -f "$work/context/Fails" "$work/context" 2>&1)"
fi

# kill -9 of one after the other, at each of which a container runs and another is only created.
is "$story: nothing of the runtime's is left so far" '' "$(listed)"
check "$story: one that runs" docker run -d --name b1 --network none busybox sleep 4321
id=$(docker inspect -f '{{.Id}}' b1)
kill_all() { pkill -KILL -f "$1"; }
check "$story: kill -9 of the shim" kill_all 'containerd-shim-runc-v2 .*moby'
check "$story: the daemon hears of it" soon becomes b1 exited
check "$story: and starts it again" docker start b1
is "$story: it runs" running "$(status b1)"
kill -KILL "$daemon"
wait "$daemon" 2>/dev/null
rm -f /run/docker-test.pid
check "$story: another daemon after kill -9 of the first" start_daemon
check "$story: rm -f after it" docker rm -f b1
check "$story: one more" docker run -d --name c1 --network none busybox sleep 4321
pkill -KILL -x containerd
kill -KILL "$daemon"
pkill -KILL -f 'containerd-shim-runc-v2 .*moby'
wait "$daemon" 2>/dev/null
rm -f /run/docker-test.pid
# What nobody watches any more is for the runtime's own commands.
for known in $(listed); do
  check "$story: the runtime says how it is" coracle-oci --root "$states" state "$known"
  check "$story: and deletes it" coracle-oci --root "$states" delete --force "$known"
done
is "$story: the runtime lists nothing" '' "$(listed)"
is "$story: the payload is gone" '' "$(pgrep -x -f 'sleep 4321' || true)"
check "$story: another daemon after kill -9 of daemon, containerd and shim" start_daemon
check "$story: rm -f of what it had" docker rm -f c1
is "$story: and runs" hello "$(alone busybox echo hello)"
is "$story: nothing of the runtime's is left" '' "$(listed)"
check "$story: no cgroup is left" soon nothing cgroups "$id"
kill "$daemon"
wait "$daemon" 2>/dev/null
plan
