#!/usr/bin/env bash
# Door: everything that can be verified, as `levqor verify --suite all` does it.
set -euo pipefail

here="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)"
levqor="$here/.venv/bin/levqor"
if [[ ! -x "$levqor" ]]; then
  levqor="$(command -v levqor)" || {
    echo "verify_all.sh: no levqor in $here/.venv/bin or on PATH: run \`make install\`" >&2
    exit 2
  }
fi
exec "$levqor" verify --suite all "$@"
