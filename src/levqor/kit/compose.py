"""A compose file: the store, the service and, where the team runs them, the workers; short enough to be read."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from levqor.domain.fleet import FleetKind
from levqor.kit.files import File
from levqor.kit.installation import OWN_CLASS, Installation

VALKEY = "valkey/valkey:8.1"


def compose_files(installation: Installation) -> list[File]:
    """One file, for the folder of the team's Dockerfile."""
    lines = [
        *_head(installation),
        _runs(installation),
        "services:",
        *_levqor(installation),
        *_worker(installation),
        *_valkey(installation),
        *_volumes(installation),
    ]
    return [File(Path("compose.yaml"), "\n".join(lines) + "\n")]


def _runs_levqor(installation: Installation) -> bool:
    """A container cannot scale its own compose project: there Levqor runs beside it."""
    return installation.kind is not FleetKind.SLOTS


def _head(installation: Installation) -> Iterable[str]:
    if not _runs_levqor(installation):
        yield "# Levqor runs beside it, on the host: `levqor up` with FLEET_KIND=slots and"
        yield "# SLOTS_SCALE='docker compose up -d --no-deps --no-recreate --scale worker={count} worker'"
    else:
        yield "# ADMIN_TOKEN=$(openssl rand -hex 24) docker compose up -d; then http://127.0.0.1:8000"


def _runs(installation: Installation) -> str:
    """What every service with workers in it needs: a first process that reaps, and time to drain."""
    return f"x-runs: &runs {{init: true, stop_grace_period: {installation.stop_timeout_s}s, restart: unless-stopped}}"


def _levqor(installation: Installation) -> Iterable[str]:
    if not _runs_levqor(installation):
        return
    yield "  levqor:"
    yield "    image: ${LEVQOR_IMAGE:-levqor} # docker build -f ops/Dockerfile -t levqor . in Levqor's repository"
    yield "    environment:"
    yield "      ADMIN_TOKEN: ${ADMIN_TOKEN:?give the admin token}"
    yield f"      REDIS_URL: {_redis(installation)}"
    yield from (f"      {name.removeprefix('LEVQOR_')}: {_scalar(value)}" for name, value in _environment(installation))
    yield f'    ports: ["127.0.0.1:{installation.port}:8000"]'
    yield '    volumes: ["levqor:/data"]'
    yield "    <<: *runs"


def _worker(installation: Installation) -> Iterable[str]:
    if installation.owns_workers:
        return
    yield "  worker:"
    yield "    build: ."
    yield f"    command: {json.dumps(_in_image(installation.worker))}"
    yield f"    environment: {{RQ_REDIS_URL: {json.dumps(_redis(installation))}}}"
    yield "    <<: *runs"


def _valkey(installation: Installation) -> Iterable[str]:
    if installation.store_port is None:
        return
    yield "  valkey:"
    yield f"    image: {VALKEY}"
    yield "    command: valkey-server --appendonly yes --maxmemory-policy noeviction"
    if not _runs_levqor(installation):
        yield f'    ports: ["127.0.0.1:{installation.store_port}:6379"]'
    yield '    volumes: ["valkey:/data"]'
    yield "    restart: unless-stopped"


def _volumes(installation: Installation) -> Iterable[str]:
    names = [
        name for name, is_there in (("levqor", _runs_levqor(installation)), ("valkey", installation.store_port is not None)) if is_there
    ]
    if names:
        yield f"volumes: {{{', '.join(f'{name}: {{}}' for name in names)}}}"


def _redis(installation: Installation) -> str:
    return "redis://valkey:6379/0" if installation.store_port is not None else "${REDIS_URL:?give the address of your Redis}"


def _environment(installation: Installation) -> Iterable[tuple[str, str]]:
    """Without what the image or this file says itself."""
    said = {"LEVQOR_HOST", "LEVQOR_PORT", "LEVQOR_BACKUPS"}
    return ((name, value) for name, value in sorted(installation.environment.items()) if name not in said)


def _scalar(value: str) -> str:
    """A YAML string; there a dollar sign is a variable."""
    escaped = value.replace("$", "$$")
    return (
        escaped
        if re.fullmatch(r"[A-Za-z][\w./-]*", escaped) and escaped not in ("true", "false", "yes", "no", "null", "on", "off")
        else json.dumps(escaped)
    )


def _in_image(words: tuple[str, ...]) -> list[str]:
    """The program by its name, and no class of Levqor's: what is in the team's image is that image's matter."""
    return [Path(words[0]).name, *(word.replace("$", "$$") for word in words[1:] if word not in OWN_CLASS)]
