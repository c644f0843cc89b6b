"""The team's own app: reloaded by the team's own command, then asked whether it is ready (spec I5)."""

import http.client
import shlex
import threading
import urllib.error
import urllib.request

from levqor.fleets.command import run
from levqor.ports import Clock

LOOK_AGAIN_S = 0.2
ASK_TIMEOUT_S = 2.0


class AppReload:
    """Runs APP_RELOAD_COMMAND without a shell and waits for APP_READY_URL; both are an operator's word and trusted."""

    def __init__(self, command: str, ready_url: str | None, timeout_s: float, clock: Clock) -> None:
        self._argv, self._ready_url, self._timeout_s, self._clock = shlex.split(command), ready_url, timeout_s, clock

    def run(self, stop: threading.Event) -> str | None:
        """Reload once; what went wrong, or None. Returns early, with a problem, once `stop` is set."""
        deadline = self._clock.monotonic() + self._timeout_s
        problem = run(self._argv, self._timeout_s, self._clock, stop, is_act=True).problem
        return f"APP_RELOAD_COMMAND {problem}" if problem is not None else self._ready(deadline, stop)

    def _ready(self, deadline: float, stop: threading.Event) -> str | None:
        problem = self._problem()
        while problem is not None and self._clock.monotonic() < deadline and not stop.wait(LOOK_AGAIN_S):
            problem = self._problem()
        return None if problem is None else f"not ready after the reload: APP_READY_URL {problem}"

    def _problem(self) -> str | None:
        if self._ready_url is None:
            return None
        try:
            with urllib.request.urlopen(self._ready_url, timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 (an operator's own address)
                return None if answer.status == 200 else f"answers {answer.status}"
        except urllib.error.HTTPError as error:
            with error:
                return f"answers {error.code}"
        except (OSError, http.client.HTTPException) as error:
            return f"does not answer ({type(error).__name__})"
