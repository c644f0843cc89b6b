#!/usr/bin/env bash
# The app and Levqor beside it, until Ctrl-C. REDIS_URL is your Redis or Valkey.
set -euo pipefail -m # each in a process group of its own: Ctrl-C reaches them once, through this script
cd "$(dirname "$0")"
export REDIS_URL="${REDIS_URL:-redis://127.0.0.1:6379/0}"

levqor up &
gunicorn app:app --workers 2 --bind "127.0.0.1:${APP_PORT:-8080}" --log-level warning &
# Ended together: by Ctrl-C, by SIGTERM, or when one of them ends.
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait' EXIT INT TERM
wait -n
