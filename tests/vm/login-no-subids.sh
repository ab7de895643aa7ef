#!/usr/bin/env bash
# A user without subordinate ids, as on many clusters: one id, and everything that one id can do.
# shellcheck source=tests/vm/tap.sh
. "$(dirname "$0")/tap.sh"
u3() { timeout 120 ssh -F "$CORACLE_TEST_VM" u3 "$*"; }
check 'the image is pulled' u3 "$c pull -q oci:/srv/images/busybox:latest"
image=$(u3 "$c images -q | head -n 1")
is 'a container runs as root inside' 0 "$(u3 "$c run --rm --network none $image id -u")"
check 'and detached' u3 "$c run -d --name one --network none $image sleep 600"
is 'exec works' 0 "$(u3 "$c exec one id -u")"
check 'limits work' u3 "$c run --rm --network none --memory 64m $image true"
check 'and it goes' u3 "$c rm -f -t 0 one"
plan
