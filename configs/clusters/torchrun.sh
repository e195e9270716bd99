#!/bin/sh
# torchrun.sh NODES GPUS NODE_RANK MASTER job.json [--field value ...]      on every machine, with the same HONE_SECRET_FILE
#
# hone reads torchrun's variables; Python is only the launcher. torchrun starts all ranks again whenever one ends with
# anything but 0, 75 among them, and they resume.
set -u
nodes=${1:?"expected: torchrun.sh NODES GPUS NODE_RANK MASTER job.json"} gpus=${2:?"expected GPUs a machine"}
rank=${3:?"expected this machine's number, from 0"} master=${4:?"expected the first machine"} job=${5:?"expected a job"}
shift 5
: "${HONE_SECRET_FILE:?"expected a file of mode 0600 with the same 32 random bytes on all machines"}"
exec torchrun --no-python --nnodes "$nodes" --nproc-per-node "$gpus" --node-rank "$rank" \
    --master-addr "$master" --master-port 29500 --max-restarts 100 \
    hone train "$job" --resume_from_checkpoint true "$@"
