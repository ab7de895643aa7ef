# shellcheck shell=bash
# `srun --container` of images: files and names, by coracle itself, with the oci.conf that `--images` prints. Sourced by newer.
# shellcheck disable=SC2154,SC2016    # `work`, `user` and `home` are run's; what is in quotes is for other shells
check 'an image becomes a file' as_user sh -c "coracle pull -q oci:$CORACLE_TEST_IMAGES/busybox:latest &&
  coracle tag \$(coracle images -q) localhost/app && coracle image squash localhost/app app.sqsh"
as_user coracle slurm oci-conf --images >"$work/oci.conf.new" || true
check 'Slurm gets its oci.conf' grep -q "^RunTimeRun=.*$work/bin/coracle slurm run" "$work/oci.conf.new"
install -m 644 "$work/oci.conf.new" "$work/etc/oci.conf"
in_image() { as_user srun -Q --container "$home/app.sqsh" "$@"; }

limit_begins "$home/app.sqsh"

me=$(id -u "$user")
is 'the command runs in the image, as its user, where srun was called' "$me $home BusyBox" \
  "$(in_image sh -c 'echo $(id -u) $(pwd) $(busybox | head -n 1 | cut -d " " -f 1)' 2>&1)"
is 'a path is meant from where srun was called' "$me" "$(as_user srun -Q --container ./app.sqsh id -u 2>&1)"
as_user mkdir 'with  space'
is 'also in a directory with spaces' "$home/with  space" \
  "$(as_user sh -c 'cd "with  space" && srun -Q --container ../app.sqsh pwd' 2>&1)"
# It is the first one with a monitor, which has a word to say about ids.
is 'the name of an image' "$me" "$(as_user srun -Q --container localhost/app id -u 2>/dev/null)"
like 'an image that is not there is named' '/no/such.sqsh' "$(as_user srun -Q --container /no/such.sqsh true 2>&1 || true)"
exits 'by the exit code of coracle itself' 125 as_user srun -Q --container /no/such.sqsh true
exits 'a command that is not there is 127' 127 in_image /no/such/command
is 'words stay words' "a  b|\$x|*|\"|" "$(in_image printf '%s|' 'a  b' '$x' '*' '"' 2>&1)"
streams "$home/app.sqsh"

before=$(pgrep -x squashfuse_ll)    # the step with a time limit has one, if it is still there
as_user srun -Q -n4 --container "$home/app.sqsh" sh -c 'echo rank $SLURM_PROCID $(readlink /proc/self/ns/user); sleep 3' >"$work/ranks" 2>&1 &
job=$!
four() { [[ $(grep -c '^rank' "$work/ranks") == 4 ]]; }
soon four || true
is 'four tasks have one squashfuse' 1 "$(comm -13 <(sort <<<"$before") <(pgrep -x squashfuse_ll | sort) | wc -l)"
wait $job || true
is 'they are all there' '0 1 2 3' "$(cut -d ' ' -f 2 "$work/ranks" | sort | xargs)"
is 'in one user namespace' 1 "$(cut -d ' ' -f 3 "$work/ranks" | sort -u | wc -l)"

signals "$home/app.sqsh"

limit_ends
none() { [[ -z $(as_user coracle ps -aq) ]]; }
check 'nothing is left in the list of containers' soon none
as_user coracle rmi --all --force >/dev/null || true
as_user rm -f app.sqsh
rm "$work/etc/oci.conf"
