# shellcheck shell=bash
# `srun coracle run app.sqsh`: eight tasks of one step on one node, over one mount. Sourced by run.
# shellcheck disable=SC2154,SC2016    # `work` and `user` are run's; what is in quotes is for other shells
check 'an image becomes one file' as_user sh -c "coracle pull -q oci:$CORACLE_TEST_IMAGES/busybox:latest && coracle image squash \$(coracle images -q) app.sqsh"
servers() { pgrep -c -x squashfuse_ll || true; }
gone() { [[ $(servers) == 0 ]]; }
soon gone || true       # those of the steps before
: >"$work/ranks"
as_user srun -n8 coracle run app.sqsh sh -c 'echo rank $(id -u); readlink /proc/self/ns/user; sleep 3' >"$work/ranks" 2>"$work/ranks.err" &
srun=$!
soon test -s "$work/ranks"
is 'one squashfuse serves eight tasks' 1 "$(servers)"
wait "$srun"
is 'srun ends with their success' 0 $?
is 'every task ran as root of its container' 8 "$(grep -c '^rank 0$' "$work/ranks")"
is 'in one user namespace' 1 "$(grep '^user:' "$work/ranks" | sort | uniq -c | awk '$1 == 8' | wc -l)"
check 'the mount ends with the step' soon gone
exits 'the highest exit code comes back' 7 as_user srun -n2 coracle run app.sqsh sh -c 'exit 7'
exits 'a cancelled job takes its containers with it' '1|15|137|143' as_user bash -c '
  srun -n2 coracle run app.sqsh sh -c "echo up; sleep 600" >cancelled &
  for i in $(seq 200); do grep -q up cancelled && break; sleep 0.1; done
  scancel "$(squeue -h -t R -o %i)"; wait $!'
check 'and nothing of them is left' soon left
exits 'a signal reaches the payload' 42 as_user bash -c '
  srun -n1 coracle run --rm --sig-proxy app.sqsh sh -c "trap \"exit 42\" TERM; echo up; while :; do sleep 0.1; done" >out &
  for i in $(seq 200); do grep -q up out && break; sleep 0.1; done
  job=$(squeue -h -t R -o %i); scancel -s TERM "$job.0"; wait $!'
# A rank, killed as a node's memory killer does it: the others go on, and write what they would have written.
as_user srun -n4 --kill-on-bad-exit=0 coracle run app.sqsh sh -c 'if [ $SLURM_PROCID = 0 ]; then echo up >/dev/shm/up; exec sleep 602; fi
  until [ -e /dev/shm/go ]; do sleep 0.1; done; echo whole $(wc -l </etc/passwd)' >"$work/whole" 2>&1 &
srun=$!
victim() { pgrep -u "$user" -f 'coracle-oci rank' | while read -r pid; do pgrep -P "$pid" -x sleep >/dev/null && echo "$pid"; done; }
is_up() { [[ $(victim | wc -l) == 1 ]]; }
soon is_up || true
kill -9 "$(victim)" || true
step=$(as_user squeue -h -s -o %i | head -n 1)
as_user env SLURM_JOB_ID="${step%.*}" SLURM_STEP_ID="${step#*.}" SLURM_STEP_NUM_TASKS=4 coracle run app.sqsh touch /dev/shm/go || true
code=0; wait "$srun" || code=$?
is 'srun tells of the rank that was killed' 137 "$code"
is 'and the others go on' 3 "$(grep -c '^whole 3$' "$work/whole")"
check 'the command of the killed one has gone with it' soon left
none() { [[ -z $(as_user coracle ps -aq) ]]; }
check 'nothing is left in the list of containers' soon none
