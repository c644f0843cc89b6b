"""The facts of one installation that its units, compose file and Procfile are made of. No secret is among them."""

import math
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from levqor.domain.errors import UsageError
from levqor.domain.fleet import FleetKind
from levqor.settings import CONFIG_FILE, LOOPBACK, PREFIX, Configuration, Settings

VARIABLE = re.compile(r"[A-Z0-9_]+")

STOP_SLACK_S = 30
"""On top of DRAIN_GRACE_S: for giving a job back to its queue and for the control plane's own end."""

STORE_PORT = 6379

OWN_CLASS = ("-w", "levqor.rq.Worker")
"""For RQ's command where Levqor is installed beside it: this class loses no job that it is handed while it is told to stop."""

PLACES = ("data", "logs", "flags")
"""Settings that every unit names, since a relative path depends on where it is run."""


@dataclass(frozen=True, slots=True)
class Installation:
    """One installation as a process manager needs to know it."""

    levqor: tuple[str, ...] = ("/opt/levqor/bin/levqor",)
    """How `levqor` is run, by its whole path."""
    user: str = "levqor"
    folder: Path = Path("/var/lib/levqor")
    """Where it is run: `levqor.toml` and the team's code are found from there."""
    data: Path = Path("/var/lib/levqor")
    logs: Path = Path("/var/log/levqor")
    flags: Path = Path("/var/lib/levqor/flags.json")
    environment: Mapping[str, str] = field(default_factory=dict)
    """Settings in force that stand in no file: from the shell's environment, without secrets."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets in force that stand in no file; their values belong into `env_file`."""
    env_file: Path = Path("/etc/levqor.env")
    worker: tuple[str, ...] = ()
    """The team's own worker, by its whole path; empty where Levqor runs the workers."""
    worker_env_file: Path = Path("/etc/rq-worker.env")
    kind: FleetKind = FleetKind.AGENT
    slots_unit: str | None = None
    scales_by_count: bool = False
    workers_min: int = 1
    workers_max: int = 4
    drain_grace_s: float = 120.0
    port: int = 8000
    slots_user: bool = False
    """The workers' units are of the user's own systemd."""
    store_port: int | None = 6379
    """Where on this machine the store that comes with it is reached; None: the team has one elsewhere."""

    @property
    def stop_timeout_s(self) -> int:
        """Whoever ends it waits so long, whole seconds."""
        return math.ceil(self.drain_grace_s) + STOP_SLACK_S

    @property
    def owns_workers(self) -> bool:
        return self.kind is FleetKind.AGENT


def describe_installation(configuration: Configuration, worker: str | None, user: str, folder: Path) -> Installation:
    """This installation. `worker`: the team's own command, if not plain RQ's. Raises UsageError for one that cannot be found."""
    settings, kind = configuration.settings, FleetKind(configuration.settings.fleet_kind)
    loose = [name for name, source in configuration.sources.items() if VARIABLE.fullmatch(source) and name not in PLACES]
    secrets = tuple(name.upper() for name in loose if _is_secret(getattr(settings, name)))
    return Installation(
        levqor=_levqor(),
        user=user,
        folder=folder,
        data=settings.data,
        logs=settings.logs,
        flags=settings.flags,
        environment={
            **{PREFIX + name.upper(): _text(getattr(settings, name)) for name in loose if name.upper() not in secrets},
            **_elsewhere(configuration, folder),
        },
        secrets=secrets,
        worker=() if kind is FleetKind.AGENT else _worker(settings, worker),
        kind=kind,
        slots_unit=settings.slots_unit,
        scales_by_count=settings.slots_scale is not None,
        workers_min=settings.workers_min,
        workers_max=settings.workers_max,
        drain_grace_s=settings.drain_grace_s,
        port=settings.port,
        slots_user=settings.slots_user,
        store_port=_store_port(settings),
    )


def _elsewhere(configuration: Configuration, folder: Path) -> dict[str, str]:
    """Where the settings' file is, if it is not found by itself."""
    named = {source for source in configuration.sources.values() if not VARIABLE.fullmatch(source)} - {"default", "command line"}
    return {f"{PREFIX}CONFIG": str(Path(path).absolute()) for path in named if Path(path).absolute() != folder / CONFIG_FILE}


def _store_port(settings: Settings) -> int | None:
    """A container cannot reach this machine's loopback: what is there comes with the compose file."""
    url = settings.broker_url or settings.redis_url
    if url is None:
        return STORE_PORT
    parts = urlsplit(url.get_secret_value())
    is_here = parts.hostname in LOOPBACK and parts.password is None
    return (parts.port or STORE_PORT) if is_here else None


def _is_secret(value: Any) -> bool:
    return isinstance(value, SecretStr) or (isinstance(value, list) and any(isinstance(item, SecretStr) for item in value))


def _text(value: Any) -> str:
    """As the setting is written in the environment."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, dict):
        return ",".join(f"{name}={item}" for name, item in value.items())
    return str(value)


def _levqor() -> tuple[str, ...]:
    """The command beside the Python that runs this, else that Python with the module."""
    beside = _beside("levqor")
    return (str(beside),) if beside.is_file() else (sys.executable, "-m", "levqor.cli")


def _worker(settings: Settings, command: str | None) -> tuple[str, ...]:
    from levqor.engines.rq_findings import TAKES_BACK_SOON

    own = ["rq", "worker", *(OWN_CLASS if _beside("rq").is_file() else ()), "--with-scheduler", *TAKES_BACK_SOON.split(), *settings.queues]
    words = own if command is None else _split(command)
    return (_whole_path(words[0]), *words[1:])


def _beside(program: str) -> Path:
    """Where it is if it is installed with Levqor."""
    return Path(sys.executable).parent / program


def _split(command: str) -> Sequence[str]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise UsageError("--worker: expected a command such as '/srv/app/.venv/bin/rq worker high default'")
    return words


def _whole_path(program: str) -> str:
    """Beside the Python that runs this, else on PATH."""
    if Path(program).is_absolute():
        return program
    beside = _beside(program)
    found = str(beside) if beside.is_file() else shutil.which(program)
    if found is None:
        raise UsageError(f"{program} is not on PATH: name your worker with --worker '/srv/app/.venv/bin/rq worker high default'")
    return str(Path(found).absolute())
