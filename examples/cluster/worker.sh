#!/bin/sh
# Add this host to a cluster that head.sh has started; its trials run here.
#
#   examples/cluster/worker.sh HEAD [OPTION OF ray start ...]
#
# HEAD is the head's ADDRESS:6379. The head's ~/.ray/auth_token must be here, too.
set -eu
head=${1:?"usage: worker.sh ADDRESS:6379 [OPTION OF ray start ...]"}
shift
. "$(dirname "$0")/environment.sh"

exec ray start --address="$head" "$@"
