# shellcheck shell=bash
# buildah, buildah-rootless: RUN in a build, and run in a working container. Arguments as `run` gives them.
# shellcheck disable=SC2016     # expanded by the shell in the container
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4
export CONTAINERS_CONF=$work/containers.conf XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config
printf '[containers]\n[engine]\n' >"$CONTAINERS_CONF"
mkdir -p "$work"/{data,config,context}

buildah() { command buildah --root "$work/root" --runroot "$work/runroot" --storage-driver overlay "$@"; }
build() { buildah bud --runtime "$runtime" --isolation oci --network none "$@"; }
run() { buildah run --network none --runtime "$runtime" --isolation oci "$@"; }
# The runtime itself, in buildah's user namespace where it has one.
oci() { if [[ $story == *-rootless ]]; then buildah unshare "$runtime" "$@"; else "$runtime" "$@"; fi; }
nothing() { [[ -z $("$@") ]]; }

cat >"$work/context/Dockerfile" <<DOCKERFILE
FROM oci:$images/busybox:latest
RUN echo "built by \$(id -u)" >/f
RUN --mount=type=tmpfs,target=/t test "\$(awk '\$2 == "/t" { print \$3 }' /proc/mounts)" = tmpfs
USER 1000
RUN test "\$(id -u)" = 1000 && cat /f
DOCKERFILE
check "$story: build with RUN" build -t out "$work/context"
printf 'FROM out\nRUN exit 5\n' >"$work/context/Fails"
exits "$story: a RUN that fails ends the build" 5 build -f "$work/context/Fails" "$work/context"
check "$story: from" buildah from --name w out
is "$story: run sees what was built" 'built by 0' "$(run w cat /f)"
is "$story: --user" '7 8' "$(run --user 7:8 w sh -c 'echo $(id -u) $(id -g)')"
exits "$story: run's exit code" 7 run w sh -c 'exit 7'
exits "$story: a command that is not there" '1|12[567]' run w nosuch
like "$story: --terminal" /dev/ "$(run --terminal w tty)"
is "$story: a volume" inside "$(echo inside >"$work/config/file" && run -v "$work/config:/in:ro" w cat /in/file)"
is "$story: the runtime lists nothing" '' "$(oci list -q)"

# kill -9 while a RUN runs: the runtime knows what nobody watches any more. The payload is a user of a namespace that only the
# killed buildah was in, and the next `buildah unshare` has one beside it: where the container has a cgroup of its own, that
# ends it. Else the kernel lets nobody but the user outside do so. crun does no more, nor does it tell the state.
run w sleep 4321 >"$work/log" 2>&1 &
there() { [[ -n $(oci list -q) ]] && pgrep -f '^/bin/sleep 4321'; }
check "$story: one that runs" soon there
pkill -KILL -f '^buildah'
wait $! 2>/dev/null
for known in $(oci list -q); do
  like "$story: after kill -9 of buildah the runtime says how it is" '"status": *"(running|stopped)"' "$(oci state "$known")"
  pid=$(pgrep -f '^/bin/sleep 4321')
  if [[ $story != *-rootless || -z $pid ]] || grep -q "$known" "/proc/$pid/cgroup"; then
    check "$story: and deletes it" oci delete --force "$known"
  else
    like "$story: another namespace cannot delete it, and is told who can" 'EPERM.*only its owner outside may' "$(oci delete --force "$known" 2>&1)"
    like "$story: which leaves it as it was" '"status": *"running"' "$(oci state "$known")"
    check "$story: the user outside deletes it" "$runtime" delete --force "$known"
  fi
done
is "$story: nothing is listed" '' "$(oci list -q)"
check "$story: the payload is gone" soon nothing pgrep -f '^/bin/sleep 4321'
is "$story: the next run works" 'built by 0' "$(run w cat /f)"
check "$story: rm" buildah rm w
plan
# Files of subordinate ids.
if [[ $story == *-rootless ]]; then buildah unshare bash -c "umount $work/root/overlay; rm -rf $work/*" 2>/dev/null; fi
true
