# shellcheck shell=bash
# Sourced by every story: counts in TAP (Test Anything Protocol) on stdout, and the command under test as `$c`.
# A story that dies half-way prints no plan line (1..N), and tests/vm/run then counts a failure for it.
set -uo pipefail
# shellcheck disable=SC2034
c=${CORACLE_TEST_CLI:-coracle}
tap_number=0

tap() {         # VERDICT NAME [FILE]: one line, and the file as comment
  tap_number=$((tap_number + 1))
  echo "$1 $tap_number - $2"
  [[ -z ${3:-} ]] || sed 's/^/# /' "$3"
}

check() {       # NAME COMMAND [ARG ...]: the command must succeed
  local name=$1 log; shift
  log=$(mktemp)
  if "$@" >"$log" 2>&1; then tap ok "$name"; else echo "exit code $?: $*" >>"$log"; tap 'not ok' "$name" "$log"; fi
  rm -f "$log"
}

is() {          # NAME WANT GOT
  if [[ $3 == "$2" ]]; then tap ok "$1"; else tap 'not ok' "$1" <(printf 'want: %s\ngot:  %s\n' "$2" "$3"); fi
}

like() {        # NAME REGEX GOT
  if [[ $3 =~ $2 ]]; then tap ok "$1"; else tap 'not ok' "$1" <(printf 'want: /%s/\ngot:  %s\n' "$2" "$3"); fi
}

exits() {       # NAME CODE[|CODE] COMMAND [ARG ...]: the command must end with this code
  local name=$1 want=$2 got=0 log; shift 2
  log=$(mktemp)
  "$@" >"$log" 2>&1 || got=$?
  if [[ $got =~ ^($want)$ ]]; then tap ok "$name"; else echo "exit code $got instead of $want: $*" >>"$log"; tap 'not ok' "$name" "$log"; fi
  rm -f "$log"
}

soon() {        # COMMAND [ARG ...]: waits until it succeeds; emulation is slow, a minute is long
  local end=$((SECONDS + 60))
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || return 1; sleep 0.2; done
}

plan() { echo "1..$tap_number"; }
