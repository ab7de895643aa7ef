# shellcheck shell=bash
# `srun coracle run app.sqsh`: eight tasks of one step on one node, over one mount. Sourced by run.
# shellcheck disable=SC2154,SC2016    # `work` and `user` are run's; what is in quotes is for other shells
check 'an image becomes one file' as_user sh -c "coracle pull -q oci:$CORACLE_TEST_IMAGES/busybox:latest && coracle image squash \$(coracle images -q) app.sqsh"
as_user srun -n8 coracle run --rm --network host app.sqsh sh -c 'echo rank $(id -u); sleep 3' >"$work/ranks" 2>"$work/ranks.err" &
srun=$!
servers() { pgrep -c -x squashfuse_ll || true; }
soon test -s "$work/ranks"
is 'one squashfuse serves eight tasks' 1 "$(servers)"
wait "$srun"
is 'srun ends with their success' 0 $?
is 'every task ran as root of its container' 8 "$(grep -c '^rank 0$' "$work/ranks")"
gone() { [[ $(servers) == 0 ]]; }
check 'the mount ends with the step' soon gone
exits 'the highest exit code comes back' 7 as_user srun -n2 coracle run --rm --network host app.sqsh sh -c 'exit 7'
exits 'a cancelled job takes its containers with it' '1|15|137|143' as_user bash -c '
  srun -n2 coracle run --rm --network host app.sqsh sh -c "echo up; sleep 600" >cancelled &
  for i in $(seq 200); do grep -q up cancelled && break; sleep 0.1; done
  scancel "$(squeue -h -t R -o %i)"; wait $!'
left() { ! pgrep -u "$user" -x sleep; }
check 'and nothing of them is left' soon left
exits 'a signal reaches the payload' 42 as_user bash -c '
  srun -n1 coracle run --rm --network host --sig-proxy app.sqsh sh -c "trap \"exit 42\" TERM; echo up; while :; do sleep 0.1; done" >out &
  for i in $(seq 200); do grep -q up out && break; sleep 0.1; done
  job=$(squeue -h -t R -o %i); scancel -s TERM "$job.0"; wait $!'
is 'nothing is left in the list of containers' '' "$(as_user coracle ps -aq)"
