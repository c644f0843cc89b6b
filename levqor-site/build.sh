#!/usr/bin/env bash
# Builds the dashboard into the control plane's package. Takes the Node.js on PATH, else the one that the wheel brought
# into the virtual environment; why it cannot build is the last line it says.
set -euo pipefail
cd "$(dirname "$0")"

readonly VENV="${1:?usage: build.sh VENV}"
readonly OLDEST="20.9.0"

is_new_enough() {
    [ "$(printf '%s\n%s\n' "$OLDEST" "$("$1" --version | tr -d v)" | sort -V | head -n 1)" = "$OLDEST" ]
}

if node="$(command -v node)" && command -v npm >/dev/null && is_new_enough "$node"; then
    :
else
    echo "no Node.js $OLDEST or newer here: taking the one that PyPI carries" >&2
    "$VENV/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r ../requirements-node.txt >&2
    export PATH="$VENV/bin:$PATH"
fi

export NEXT_TELEMETRY_DISABLED=1
npm ci --no-audit --no-fund --loglevel=error >&2
npm run --silent build >&2
node scripts/pack.mjs
