# shellcheck shell=bash
# The directory SLURM_ROOT becomes the root of this mount namespace, with all that is written to it in memory. By pivot_root:
# what has been chrooted gets no user namespaces. Sourced by run.
# shellcheck disable=SC2154    # `work`, `user` and `here` are run's
new=/mnt/root
mount -t tmpfs newer /mnt
mkdir "$new" /mnt/upper /mnt/work
mount -t overlay -o "lowerdir=$SLURM_ROOT,upperdir=/mnt/upper,workdir=/mnt/work" newer "$new"
for dir in "$(dirname "$here")" "$work" "$CORACLE_TEST_IMAGES"; do
  mkdir -p "$new$dir"
  mount --bind "$dir" "$new$dir"
done
for dir in /dev /sys; do mount --rbind "$dir" "$new$dir"; done
mount -t proc proc "$new/proc"
touch "$new/etc/hosts"
for file in passwd group; do getent "$file" "$user" >>"$new/etc/$file"; done
mkdir -p "$new/old"
cd "$new" || exit
pivot_root . old
cd / || exit
umount -l /old
hash -r
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
