"""The team's own app: reloaded by the team's own command, then asked whether it is ready (spec I5)."""

import http.client
import os
import shlex
import signal
import subprocess
import threading
import urllib.error
import urllib.request

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
        try:
            process = subprocess.Popen(
                self._argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            return f"APP_RELOAD_COMMAND cannot be run: {error.strerror}"
        code = self._ended(process, deadline, stop)
        if code is None:
            return f"APP_RELOAD_COMMAND did not end within {self._timeout_s:.0f} s and was ended"
        if code != 0:
            return f"APP_RELOAD_COMMAND ended with exit code {code}"
        return self._ready(deadline, stop)

    def _ended(self, process: subprocess.Popen[bytes], deadline: float, stop: threading.Event) -> int | None:
        while process.poll() is None:
            if self._clock.monotonic() >= deadline or stop.wait(LOOK_AGAIN_S):
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                return None
        return process.returncode

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
