# shellcheck shell=bash
# `srun --container`: bundles by coracle-oci, with the oci.conf that coracle prints. Sourced by run.
# Slurm 22.05 starts one task for each step of that kind, and reads oci.conf at the start of each step.
# shellcheck disable=SC2154,SC2016    # `work`, `user` and `home` are run's; what is in quotes is for other shells
bundle=$home/bundle
in_container() { as_user srun -Q --container "$bundle" "$@"; }

check 'an image becomes a bundle' as_user coracle bundle "oci:$CORACLE_TEST_IMAGES/busybox:latest" bundle
as_user coracle slurm oci-conf >"$work/oci.conf.new" || true
check 'Slurm gets its oci.conf' grep -q "^RunTimeRun=.*$work/bin/coracle-oci" "$work/oci.conf.new"
install -m 644 "$work/oci.conf.new" "$work/etc/oci.conf"
is 'what Slurm 22.05 does not know is not in its own' '' \
  "$(as_user coracle slurm oci-conf --slurm-version 22.05 | grep -E 'EnvExclude|%[pU]' || true)"

limit_begins "$bundle"

like 'the command runs in the image, as root of it' '^0 BusyBox' \
  "$(in_container sh -c 'echo $(id -u) $(busybox | head -n 1)' 2>&1)"
like 'a command that is not there is an error that names it' '/no/such/command.*no such file' \
  "$(in_container /no/such/command 2>&1 || true)"
is 'words stay words' "a  b|it's|" "$(in_container printf '%s|' 'a  b' "it's" 2>&1)"
streams "$bundle"

signals "$bundle"

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

limit_ends
no_state() { [[ -z $(as_user coracle-oci list -q) ]]; }
check 'no state is left' soon no_state
rm "$work/etc/oci.conf"
