#!/usr/bin/env bash
# Door: the endpoints of version 6.2, as `levqor verify --suite v6_2` does it.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
levqor="$here/.venv/bin/levqor"
if [[ ! -x "$levqor" ]]; then
  levqor="$(command -v levqor)" || {
    echo "verify_v6_2.sh: no levqor in $here/.venv/bin or on PATH: run \`make install\`" >&2
    exit 2
  }
fi
exec "$levqor" verify --suite v6_2 "$@"
