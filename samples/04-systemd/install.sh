#!/usr/bin/env bash
# As root, for the user who owns this folder: units made from levqor.toml, workers 1 and 2, and Levqor.
set -euo pipefail
cd "$(dirname "$0")"
owner=$(stat -c %U .)
REDIS_URL="${REDIS_URL:-redis://127.0.0.1:6379/0}"

umask 077
echo "RQ_REDIS_URL=$REDIS_URL" >/etc/rq-worker.env
echo "REDIS_URL=$REDIS_URL" >/etc/levqor.env
umask 022
env -u REDIS_URL levqor init systemd --user "$owner" --yes
install -d -o "$owner" data logs config
systemctl daemon-reload
systemctl enable --now rq-worker@1.service rq-worker@2.service levqor.service
