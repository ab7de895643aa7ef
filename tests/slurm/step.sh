# shellcheck shell=bash
# What a step of `srun --container` owes its user, whether the container is a bundle or an image. Sourced by run.
# shellcheck disable=SC2154,SC2016    # `work`, `user` and `home` are run's; what is in quotes is for other shells
until_up() { soon grep -q up "$work/up"; }
current() { as_user squeue -h -t R -o %i -n story; }
left() { ! pgrep -u "$user" -x sleep; }
cancelled() { ! pgrep -u "$user" -f 'sleep 600'; }

# Slurm counts time limits in minutes: this step runs beside all others, from the one call to the other.
limit_begins() { # CONTAINER
  patience=120 as_user srun -Q --time 1 --container "$1" sh -c 'echo up; exec sleep 601' >"$work/limited" 2>&1 &
  limited=$!
  soon grep -q up "$work/limited" || true   # coracle's warnings, which it gives once, are in there
}

limit_ends() {
  wait "$limited" || true
  like 'the time limit ends it' 'up.*TIME LIMIT' "$(tr '\n' ' ' <"$work/limited")"
  check 'and nothing of it is left' soon left
}

streams() {     # CONTAINER: what goes in and what comes back
  local step=(as_user srun -Q --container "$1")
  is 'what is piped in comes out' 'in and out' "$(echo in and out | "${step[@]}" cat 2>&1)"
  is 'stderr stays stderr' '' "$("${step[@]}" sh -c 'echo words >&2' 2>/dev/null)"
  exits 'the exit code comes back' 7 "${step[@]}" sh -c 'exit 7'
  is "the job's environment is there, lines and all" $'1\n2 job' \
    "$(as_user env X=$'1\n2' srun -Q --container "$1" sh -c 'echo "$X ${SLURM_JOB_ID:+job}"' 2>&1)"
  is "the network is the node's" "$(readlink /proc/self/ns/net)" "$("${step[@]}" readlink /proc/self/ns/net 2>&1)"
}

signals() {     # CONTAINER: a signal, and the end of the job
  local job inside step code=0
  as_user srun -Q -J story --container "$1" sh -c 'trap "echo caught; exit 42" TERM; echo up; while :; do sleep 0.1; done' \
    >"$work/up" 2>&1 &
  job=$!
  until_up || true
  inside=$(pgrep -u "$user" -f '^(/bin/)?sh -c trap "echo caught' | tail -n 1)
  step=$(as_user squeue -h -s -o %i | grep "^$(current)\." | head -n 1)
  is "it is in its step's cgroup" "$(cat "/proc/$(pgrep -f "^slurmstepd: .$step." | head -n 1)/cgroup")" "$(cat "/proc/$inside/cgroup")"
  as_user scancel -s TERM "$(current).0" || true
  wait "$job" || code=$?
  is 'a signal reaches the command, and its exit code comes back' '42 caught' "$code $(grep -o caught "$work/up")"

  as_user srun -Q -J story --container "$1" sh -c 'echo up; exec sleep 600' >"$work/up" 2>&1 &
  job=$!
  until_up || true
  as_user scancel "$(current)" || true
  wait "$job" || true
  check 'a cancelled job takes the container with it' soon cancelled
}
