# shellcheck shell=bash
# buildah: RUN in a build, and run in a working container. Arguments as `run` gives them.
# shellcheck source-path=SCRIPTDIR source=../vm/tap.sh
source "$(dirname "$0")/../vm/tap.sh"
story=$1 runtime=$2 images=$3 work=$4
export CONTAINERS_CONF=$work/containers.conf
printf '[containers]\n[engine]\n' >"$CONTAINERS_CONF"

buildah() { command buildah --root "$work/root" --runroot "$work/runroot" --storage-driver overlay "$@"; }
build() { buildah bud --runtime "$runtime" --isolation oci --network none "$@"; }

mkdir "$work/context"
cat >"$work/context/Dockerfile" <<DOCKERFILE
FROM oci:$images/busybox:latest
RUN echo "built by \$(id -u)" >/f
USER 1000
RUN test "\$(id -u)" = 1000 && cat /f
DOCKERFILE
check "$story: build with RUN" build -t out "$work/context"
printf 'FROM out\nRUN exit 5\n' >"$work/context/Fails"
exits "$story: a RUN that fails ends the build" 5 build -f "$work/context/Fails" "$work/context"
check "$story: from" buildah from --name w out
is "$story: run sees what was built" 'built by 0' "$(buildah run --runtime "$runtime" --isolation oci w cat /f)"
exits "$story: run's exit code" 7 buildah run --runtime "$runtime" --isolation oci w sh -c 'exit 7'
check "$story: rm" buildah rm w
plan
