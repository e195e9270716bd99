#!/bin/sh
# spot-vm.sh aws|gcp job.json [--field value ...]      what a spot machine runs whenever it starts
#
# The notice saves before the machine goes; output_dir lies on a disk that outlives it. As a service: in a unit file
#   ExecStart=/opt/hone/configs/clusters/spot-vm.sh aws /srv/job.json
#   Restart=on-failure
#   RestartPreventExitStatus=2 3 4 5 7
#   TimeoutStopSec=120
# so that a machine that is started again, or another one in its place (an instance group, an Auto Scaling group), resumes.
set -u
cloud=${1:?"expected: spot-vm.sh aws|gcp job.json"} job=${2:?"expected a job"}
notice=$(cd "$(dirname "$0")" && pwd)/$cloud-spot-notice
[ -x "$notice" ] || { echo "error: spot-vm.sh: \"$cloud\", expected aws or gcp" >&2; exit 2; }
shift 2
exec hone train "$job" --resume_from_checkpoint true --preempt_notice "command:$notice" "$@"
