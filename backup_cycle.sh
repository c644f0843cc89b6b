#!/usr/bin/env bash
# Door: make a backup, prove that it restores, delete what is superfluous; as `levqor backup cycle` does.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
levqor="$here/.venv/bin/levqor"
if [[ ! -x "$levqor" ]]; then
  levqor="$(command -v levqor)" || {
    echo "backup_cycle.sh: no levqor in $here/.venv/bin or on PATH: run \`make install\`" >&2
    exit 2
  }
fi
exec "$levqor" backup cycle "$@"
