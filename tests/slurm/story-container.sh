# shellcheck shell=bash
# `srun --container`: bundles by coracle-oci, with the oci.conf that coracle prints. Sourced by run.
# Slurm 22.05 starts one task for each step of that kind, and reads oci.conf at the start of each step.
# shellcheck disable=SC2154,SC2016    # `work`, `user` and `home` are run's; what is in quotes is for other shells
bundle=$home/bundle
in_container() { as_user srun -Q --container "$bundle" "$@"; }
until_up() { soon grep -q up "$work/up"; }
current() { as_user squeue -h -t R -o %i -n story; }
left() { ! pgrep -u "$user" -x sleep; }

check 'an image becomes a bundle' as_user coracle bundle "oci:$CORACLE_TEST_IMAGES/busybox:latest" bundle
as_user coracle slurm oci-conf >"$work/oci.conf.new" || true
check 'Slurm gets its oci.conf' grep -q "^RunTimeRun=.*$work/bin/coracle-oci" "$work/oci.conf.new"
install -m 644 "$work/oci.conf.new" "$work/etc/oci.conf"
is 'what Slurm 22.05 does not know is not in it' '' "$(grep -E 'EnvExclude|%[pU]' "$work/oci.conf.new" || true)"

# Slurm counts time limits in minutes: this one runs beside all others.
patience=120 as_user srun -Q --time 1 --container "$bundle" sh -c 'echo up; exec sleep 601' >"$work/limited" 2>&1 &
limited=$!

like 'the command runs in the image, as root of it' '^0 BusyBox' \
  "$(in_container sh -c 'echo $(id -u) $(busybox | head -n 1)' 2>&1)"
is 'what is piped in comes out' 'in and out' "$(echo in and out | in_container cat 2>&1)"
is 'stderr stays stderr' '' "$(in_container sh -c 'echo words >&2' 2>/dev/null)"
exits 'the exit code comes back' 7 in_container sh -c 'exit 7'
like 'a command that is not there is an error that names it' '/no/such/command.*no such file' \
  "$(in_container /no/such/command 2>&1 || true)"
is 'words stay words' "a  b|it's|" "$(in_container printf '%s|' 'a  b' "it's" 2>&1)"
is "the job's environment is there, lines and all" $'1\n2 job' \
  "$(as_user env X=$'1\n2' srun -Q --container "$bundle" sh -c 'echo "$X ${SLURM_JOB_ID:+job}"' 2>&1)"
is "the network is the node's" "$(readlink /proc/self/ns/net)" "$(in_container readlink /proc/self/ns/net 2>&1)"

as_user srun -Q -J story --container "$bundle" sh -c 'trap "echo caught; exit 42" TERM; echo up; while :; do sleep 0.1; done' \
  >"$work/up" 2>&1 &
job=$!
until_up || true
inside=$(pgrep -u "$user" -f '^sh -c trap "echo caught' | tail -n 1)
step=$(as_user squeue -h -s -o %i | grep "^$(current)\." | head -n 1)
is "it is in its step's cgroup" "$(cat "/proc/$(pgrep -f "^slurmstepd: .$step." | head -n 1)/cgroup")" "$(cat "/proc/$inside/cgroup")"
as_user scancel -s TERM "$(current).0" || true
code=0; wait $job || code=$?
is 'a signal reaches the command, and its exit code comes back' '42 caught' "$code $(grep -o caught "$work/up")"

as_user srun -Q -J story --container "$bundle" sh -c 'echo up; exec sleep 600' >"$work/up" 2>&1 &
job=$!
until_up || true
as_user scancel "$(current)" || true
wait $job || true
cancelled() { ! pgrep -u "$user" -f 'sleep 600'; }
check 'a cancelled job takes the container with it' soon cancelled

as_user salloc -Q -n4 sh -c 'for i in 1 2 3 4; do srun -Q -n1 --exact --mem 0 --container "$0" sh -c "echo task; sleep 1" & done; wait' \
  "$bundle" >"$work/steps" 2>&1 || true
is 'the steps of a job run in one bundle at the same time' 4 "$(grep -c '^task$' "$work/steps")"

# State that the user wrote is nothing that root acts upon: a hook in it would be root's.
exits 'a version that is none is refused' 125 as_user coracle slurm oci-conf --slurm-version new
newer=$(as_user coracle slurm oci-conf --slurm-version 24.11)
like 'another version can be asked for' 'EnvExclude' "$newer"
for line in Query Kill Delete; do
  like "root becomes the user before it asks: $line" "RunTime$line=.*runuser -u %u" "$newer"
done

wait $limited || true
like 'the time limit ends it' 'up.*TIME LIMIT' "$(tr '\n' ' ' <"$work/limited")"
check 'and nothing of it is left' soon left
no_state() { [[ -z $(as_user coracle-oci list -q) ]]; }
check 'no state is left' soon no_state
rm "$work/etc/oci.conf"
