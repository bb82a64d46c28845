#!/bin/sh
# Start the head of a Ray cluster on this host; it takes searches and runs no trials.
#
#   examples/cluster/head.sh ADDRESS [OPTION OF ray start ...]
#
# ADDRESS is where the other hosts, and you, reach this one. Without a token there is one made, in ~/.ray/auth_token.
set -eu
address=${1:?"usage: head.sh ADDRESS [OPTION OF ray start ...]"}
shift
. "$(dirname "$0")/environment.sh"
ray get-auth-token --generate >/dev/null

# A node that does not answer three times in a row is dead: after 9 s, not after the 40 s that Ray has for it.
export RAY_health_check_initial_delay_ms=5000 RAY_health_check_period_ms=1000
export RAY_health_check_timeout_ms=2000 RAY_health_check_failure_threshold=3

exec ray start --head --node-ip-address="$address" --port=6379 --dashboard-host="$address" --num-cpus=0 --num-gpus=0 "$@"
