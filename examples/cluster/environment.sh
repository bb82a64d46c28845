# What head.sh and worker.sh have in common; they read it.
here=$(cd "$(dirname "$0")" && pwd)
export PATH="$here/../../.venv/bin:$PATH" # `make test` makes it; jobs find `python` there, too
export RAY_AUTH_MODE=token                # RAY_AUTH_TOKEN or ~/.ray/auth_token holds it
export RAY_USAGE_STATS_ENABLED=0
echo "Ray listens on all interfaces of this host and encrypts nothing: use a private network." >&2
