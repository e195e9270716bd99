#!/bin/sh
# mpirun.sh HOSTFILE RANKS job.json [--field value ...]      one rank a GPU; HOSTFILE: "node1 slots=8" ...
#
# MPI brings address and secret to the ranks. mpirun kills its ranks a second after TERM, so TERM is turned into USR1, which
# it passes on: they save one step and end with 75. Call this script again (a scheduler's requeue, a loop) and it resumes.
set -u
hosts=${1:?"expected: mpirun.sh HOSTFILE RANKS job.json"} ranks=${2:?"expected the number of ranks"} job=${3:?"expected a job"}
shift 3
root=''
[ "$(id -u)" != 0 ] || root=--allow-run-as-root
mpirun $root -n "$ranks" --hostfile "$hosts" --bind-to none ${HONE_CACHE:+-x HONE_CACHE} \
    "$(command -v hone)" train "$job" --resume_from_checkpoint true "$@" &
pid=$!
trap 'kill -USR1 "$pid" 2>/dev/null' TERM USR1
wait "$pid"
code=$?
while [ "$code" -gt 128 ] && kill -0 "$pid" 2>/dev/null; do # a signal has ended the waiting, not mpirun
    wait "$pid"
    code=$?
done
exit "$code"
