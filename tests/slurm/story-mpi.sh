# shellcheck shell=bash
# Jobs of MPI: Debian's Open MPI in an image, its MPICH in another, and in each a job (tests/images/mpi.c) of four ranks, which
# says whether they are one world and reach each other's memory. Sourced by run.
# shellcheck disable=SC2154,SC2016    # `work`, `user` and `home` are run's; what is in quotes is for other shells
world() {       # NAME COMMAND [ARG ...]: the command must print the lines of four ranks of one world
  local name=$1 want; shift
  want=$(for i in 0 1 2 3; do echo "rank $i of 4 sum 10 memory yes single-copy ${copy:-cma} ring whole"; done)
  is "$name" "$want" "$(as_user "$@" 2>"$work/mpi.err" | sort; sed 's/^/stderr: /' "$work/mpi.err" | grep -v 'XDG_RUNTIME_DIR\|own user id')"
}
# Nothing is timed here: a large image may take its time on a busy machine.
patience=240 check 'Open MPI becomes one file' as_user sh -c "id=\$(coracle pull -q oci:$MPI_IMAGES/openmpi:latest) && coracle image squash \$id mpi.sqsh && coracle rmi \$id"
world 'srun --mpi=pmix: four ranks are one world, in one image file' srun -Q -n4 --mpi=pmix coracle run mpi.sqsh mpi
world 'and with --hpc' srun -Q -n4 --mpi=pmix coracle run --hpc mpi.sqsh mpi
is 'a rank is its user, as PMIx wants it' "$(id -u "$user")" "$(as_user srun -Q -n1 --mpi=pmix coracle run mpi.sqsh id -u 2>&1)"
exits "a rank's exit code comes back" 5 as_user srun -Q -n4 --mpi=pmix coracle run mpi.sqsh mpi 5
# This node has a loopback and nothing else, which Open MPI would not use.
run_mpi=(mpirun --mca oob_tcp_if_include lo --oversubscribe -n 4)
world "the node's own mpirun: the same" "${run_mpi[@]}" coracle run mpi.sqsh mpi
world 'and with --hpc' "${run_mpi[@]}" coracle run --hpc mpi.sqsh mpi
exits "and a rank's exit code comes back" 6 as_user "${run_mpi[@]}" coracle run mpi.sqsh mpi 6
world 'the mpirun of the image, in one container, needs nothing of the node' coracle run --rm --network host mpi.sqsh "${run_mpi[@]}" --allow-run-as-root mpi
lonely=$(as_user srun -Q -n4 coracle run mpi.sqsh mpi 2>&1 || true)
is 'a program of MPI whose launcher says nothing is told once what to do' 1 "$(grep -c 'srun --mpi=pmix' <<<"$lonely")"
like 'in words' 'Warning: srun has started 4 ranks of a program of MPI and tells them nothing' "$lonely"
is 'any other program is not' '' "$(as_user srun -Q -n4 coracle run mpi.sqsh true 2>&1)"
like 'a user that PMIx would turn away is a warning' "rank 0 of 1" "$(as_user srun -Q -n4 --mpi=pmix coracle run --userns host mpi.sqsh true 2>&1)"

# MPICH speaks PMI, over a fd that the launcher has opened: Slurm's plugin pmi2, and MPICH's own mpiexec, which is Hydra.
copy=unknown    # MPICH does not tell
patience=240 check 'MPICH becomes one file' as_user sh -c "id=\$(coracle pull -q oci:$MPI_IMAGES/mpich:latest) && coracle image squash \$id mpich.sqsh && coracle rmi \$id"
world 'srun --mpi=pmi2: four ranks of MPICH are one world, in one image file' srun -Q -n4 --mpi=pmi2 coracle run mpich.sqsh mpi
world 'and with --hpc' srun -Q -n4 --mpi=pmi2 coracle run --hpc mpich.sqsh mpi
is 'one rank, in a container of its own, has the fd too' 'rank 0 of 1 sum 1 memory yes single-copy unknown ring whole' \
  "$(as_user srun -Q -n1 --mpi=pmi2 coracle run mpich.sqsh mpi 2>/dev/null)"
exits "a rank's exit code comes back" 5 as_user srun -Q -n4 --mpi=pmi2 coracle run mpich.sqsh mpi 5
run_mpich=(mpiexec.hydra -n 4)
world "the node's own mpiexec: the same" "${run_mpich[@]}" coracle run mpich.sqsh mpi
world 'and with --hpc' "${run_mpich[@]}" coracle run --hpc mpich.sqsh mpi
exits "and a rank's exit code comes back" 6 as_user "${run_mpich[@]}" coracle run mpich.sqsh mpi 6
world 'the mpiexec of the image, in one container, needs nothing of the node' coracle run --rm --network host mpich.sqsh "${run_mpich[@]}" mpi
