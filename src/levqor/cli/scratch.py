"""`levqor up` as a child in a scratch folder, with settings of its own that nothing in the environment touches."""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levqor.cli import output
from levqor.domain.errors import DependencyDown

if TYPE_CHECKING:
    from levqor.agent.process import Child
    from levqor.settings import Configuration

READY_WITHIN_S = 60.0
END_WITHIN_S = 30.0
TERMINATED = 143


def unwind(*_: object) -> None:
    """For SIGTERM: what was started is ended on the way out."""
    raise SystemExit(TERMINATED)


def furnish(folder: Path, settings: Mapping[str, Any], flags: Mapping[str, Any]) -> "Configuration":
    """Write `levqor.toml` and the flags file; what `up` will read, and nothing else."""
    from levqor.settings import CONFIG_FILE, load

    places = {"data": str(folder / "data"), "flags": str(folder / "flags.json"), "logs": str(folder / "logs")}
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**places, **settings}.items()]
    (folder / CONFIG_FILE).write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "flags.json").write_text(json.dumps(dict(flags), indent=2) + "\n", encoding="utf-8")
    return load(environ={}, folder=folder)


def environment(folder: Path) -> dict[str, str]:
    """Every variable that a setting is read from, emptied: an empty one counts as not set."""
    from levqor.settings import CONFIG_FILE, PREFIX, Settings

    names = [field.upper() for field in Settings.model_fields]
    empty = {f"{prefix}{name}{suffix}": "" for name in names for prefix in (PREFIX, "") for suffix in ("", "_FILE")}
    # RQ 3 reads this one too, and takes an empty prefix for a wrong one.
    return {**empty, "RQ_KEY_PREFIX": "rq", f"{PREFIX}CONFIG": str(folder / CONFIG_FILE)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(folder: Path, is_kept: Callable[[], bool] = lambda: False, words: Sequence[str] = ()) -> "Iterator[Child]":
    """`levqor up` and these words as a child, ended by SIGTERM whatever happens; `is_kept` may spare it where all went well."""
    child = begin(folder, "up", [sys.executable, "-m", "levqor.cli", "up", *words])
    is_well = False
    try:
        yield child
        is_well = True
    finally:
        if not (is_well and is_kept()):
            end(child)


def begin(folder: Path, name: str, argv: list[str], more: Mapping[str, str] | None = None) -> "Child":
    """A child process of this scratch folder; what it says goes to `NAME.log` there."""
    from levqor.agent.process import Child, Command

    command = Command(argv, {**environment(folder), **(more or {})}, output=folder / f"{name}.log")
    return Child.spawn("scratch", name, f"levqor-scratch:{folder.name}:{name}", command)


def end(child: "Child") -> None:
    """Ask it to end, wait while it drains, and insist at last."""
    from levqor.host import SystemClock

    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic() + END_WITHIN_S
    child.terminate()
    while child.is_alive and clock.monotonic() < deadline_s:
        pause.wait(0.1)
    if child.is_alive:
        output.tell("it did not end by itself; it is killed now")
        child.kill_family()


def await_broker(url: str) -> None:
    """A server that was just begun takes connections. Raises DependencyDown."""
    from levqor.agent.embedded import problem
    from levqor.host import SystemClock

    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic() + END_WITHIN_S
    while (why := problem(url)) is not None:
        if clock.monotonic() >= deadline_s:
            raise DependencyDown(f"the scratch broker does not start: {why}")
        pause.wait(0.05)


def wait_until_ready(configuration: "Configuration", child: "Child", folder: Path, workers: int = 1) -> None:
    """Ready, with so many workers. Raises DependencyDown with the log's last lines where it ends or hangs instead."""
    from levqor.cli.service import Service
    from levqor.domain.errors import LevqorError
    from levqor.host import SystemClock

    clock, pause = SystemClock(), threading.Event()
    deadline_s = clock.monotonic() + READY_WITHIN_S
    with Service(configuration.settings, timeout_s=2.0) as service:
        while clock.monotonic() < deadline_s and child.is_alive:
            try:
                service.get("/readyz")
                status = service.get("/status")
            except LevqorError:
                status = {}
            # The flags file is imported within a tick; until then the default target is in force.
            if (status.get("target"), status.get("running")) == (workers, workers):
                return
            pause.wait(0.2)
    tail = (folder / "up.log").read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    raise DependencyDown("\n  ".join([f"`levqor up` did not become ready; the end of {folder / 'up.log'}:", *tail]))
