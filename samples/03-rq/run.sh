#!/usr/bin/env bash
# Two workers of plain RQ with some jobs, and Levqor that watches them, until Ctrl-C. REDIS_URL is your Redis or Valkey.
set -euo pipefail -m # each in a process group of its own: Ctrl-C reaches them once, through this script
cd "$(dirname "$0")"
export RQ_REDIS_URL="${REDIS_URL:-redis://127.0.0.1:6379/0}"
unset REDIS_URL # Levqor brings a store of its own; yours is only read

for _ in 1 2; do
  rq worker --quiet high default &
done
python enqueue.py
levqor attach --redis "$RQ_REDIS_URL" --queues high,default &
# Ended together: by Ctrl-C, by SIGTERM, or when one of them ends.
trap 'trap - EXIT; kill $(jobs -p) 2>/dev/null; wait' EXIT INT TERM
wait -n
