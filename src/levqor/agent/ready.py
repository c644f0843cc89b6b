"""The few lines that `levqor up` prints once the service answers, or what it still lacks."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levqor.ports import Clock

PATIENCE_S = 20.0
_POLL_S = 0.2
_TIMEOUT_S = 2.0

Talk = Callable[[str], None]

_MODES = {
    "observe": "observe: it recommends and changes nothing (`levqor flags set AUTOSCALE_ENABLED true` lets it act)",
    "act": "act: it scales the workers (`levqor hold` stops it)",
    "held": "held by a person (`levqor release` ends that)",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where things are."""

    url: str
    data: Path
    token_file: Path | None


class Announcer:
    """Waits for `/readyz` and says so; `is_up` is set then, or once the patience is over."""

    def __init__(self, place: Place, talk: Talk, clock: Clock) -> None:
        self._place = place
        self._talk = talk
        self._clock = clock
        self.is_up = threading.Event()

    def run(self, stop: threading.Event) -> None:
        started = self._clock.monotonic()
        status, body = self._get("/readyz?verbose")
        while status != 200 and self._clock.monotonic() - started < PATIENCE_S:
            if stop.wait(_POLL_S):
                return
            status, body = self._get("/readyz?verbose")
        self._talk(self._block(status == 200, body))
        self.is_up.set()

    def _block(self, is_ready: bool, body: dict[str, Any]) -> str:
        lines = [
            f"Levqor is ready at {self._place.url}/" if is_ready else f"Levqor runs at {self._place.url}/ but is not ready: {missing(body)}"
        ]
        if is_ready:
            mode = str(self._get("/status")[1].get("mode", ""))
            lines += [f"  mode   {_MODES[mode]}"] if mode in _MODES else []
        lines.append(f"  data   {self._place.data}")
        lines += [f"  token  {self._place.token_file}"] if self._place.token_file is not None else []
        lines.append("  Ctrl-C stops everything")
        return "\n".join(lines)

    def _get(self, path: str) -> tuple[int | None, dict[str, Any]]:
        try:
            with urllib.request.urlopen(self._place.url + path, timeout=_TIMEOUT_S) as answer:  # noqa: S310 (our own address)
                return int(answer.status), _object(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _object(error.read())
        except OSError:
            return None, {}


def missing(body: dict[str, Any]) -> str:
    """Names the checks that fail."""
    checks = body.get("checks")
    if not isinstance(checks, dict):
        return f"no answer within {PATIENCE_S:.0f} s"
    failing = [f"{name} ({check.get('detail') or 'down'})" for name, check in checks.items() if not check.get("ok")]
    return ", ".join(failing) or "it does not say what is missing"


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
