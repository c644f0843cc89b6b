"""Runs of `levqor` as processes of this machine, each with a keeper that ends it in time and never outlives us."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from levqor.domain.schedule import Ended
from levqor.host import ProcessIdentity
from levqor.settings import inherited_environment

SHOWN_BYTES = 8_000


class HostProcess:
    """One run, and its keeper."""

    def __init__(self, keeper: "subprocess.Popen[bytes]", mask: Callable[[str], str]) -> None:
        self._keeper, self._mask = keeper, mask
        self._ended: Ended | None = None
        identity = ProcessIdentity.of(keeper.pid) or replace(ProcessIdentity.current(), pid=keeper.pid, started="ended at once")
        self.identity = str(identity)

    def ended(self) -> Ended | None:
        """How it ended; None while it goes on. What the keeper says fits into a pipe, so it never waits for us."""
        if self._ended is None and self._keeper.poll() is not None:
            self._ended = self._read()
        return self._ended

    def _read(self) -> Ended:
        assert self._keeper.stdout is not None  # noqa: S101 (pipes were asked for)
        assert self._keeper.stdin is not None  # noqa: S101
        self._keeper.stdin.close()
        with self._keeper.stdout as stream:
            said = stream.read()
        try:
            told = json.loads(said)
        except ValueError:
            return Ended(None, f"its keeper ended with exit code {self._keeper.returncode} and said nothing")
        return Ended(told["exit_code"], shown(told["output"], self._mask), told["timed_out"])

    def stop(self) -> None:
        self._keeper.terminate()


class HostRunner:
    """Begins `levqor` with the environment of this process and `environment` over it."""

    def __init__(self, environment: Mapping[str, str], mask: Callable[[str], str]) -> None:
        self._environment, self._mask = dict(environment), mask

    def start(self, words: Sequence[str], grace_s: float) -> HostProcess:
        """Begin it. Raises OSError."""
        keeper = [sys.executable, "-m", "levqor.keeper", str(grace_s), sys.executable, "-m", "levqor.cli", *words]
        environment = {**inherited_environment(), **self._environment, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        process = subprocess.Popen(
            keeper,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return HostProcess(process, self._mask)


def shown(output: str, mask: Callable[[str], str]) -> str:
    """The last lines without secrets; a line that was cut is left out, since a half secret is no secret that is known."""
    is_whole = len(output.encode()) < SHOWN_BYTES
    masked = mask(output)
    if is_whole:
        return masked
    cut = masked.encode()[-SHOWN_BYTES:].decode("utf-8", "ignore")
    return cut.partition("\n")[2] or cut[SHOWN_BYTES // 2 :]
