"""A stand-in for a process manager, for drills and tests: one keeper per slot, with systemd's manners and its words.

It is run as a program, so that Levqor meets it as it meets a real one: by commands, their output and their exit codes.
`start`, `stop` and `list` are a team's own commands; under the name `systemctl` it answers to that program's words.
"""

import fnmatch
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

UNIT = "rq-worker@{slot}.service"
TURN_S = 0.02
BEGUN_WITHIN_S = 10.0


class Keeper:
    """Begins one slot's worker, starts it again when it fails, and stops it: SIGTERM, a timeout, SIGKILL."""

    def __init__(self, folder: Path, slot: str) -> None:
        self._file, self._slot = folder / f"slot-{slot}.json", slot
        self._settings: dict[str, Any] = json.loads((folder / "manager.json").read_text(encoding="utf-8"))
        self._stop, self._pause = threading.Event(), threading.Event()
        self._restarts = 0

    def run(self) -> None:
        """Until the worker is stopped, ends well, or fails too often."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop.set())
        while True:
            code, was_killed = self._once()
            if self._stop.is_set() or code == 0:
                self._say("failed" if was_killed else "inactive", 0)
                return
            if self._settings.get("restart") != "on-failure" or self._restarts >= self._settings.get("start_limit", 5):
                self._say("failed", 0)
                return
            self._restarts += 1
            self._say("activating", 0)
            self._stop.wait(self._settings.get("restart_s", 0.1))
            if self._stop.is_set():
                self._say("inactive", 0)
                return

    def _once(self) -> tuple[int, bool]:
        argv = [word.replace("{slot}", self._slot) for word in shlex.split(self._settings["command"])]
        with (self._file.parent / "workers.log").open("ab") as output:
            worker = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=self._file.parent, start_new_session=True
            )
        self._say("active", worker.pid)
        left_s, is_told = float(self._settings.get("stop_timeout_s", 90.0)), False
        while worker.poll() is None:
            if self._stop.is_set() and not is_told:
                is_told = True
                self._say("deactivating", worker.pid)
                worker.terminate()  # to the main process alone, as KillMode=mixed does
            left_s -= TURN_S if is_told else 0.0
            if left_s <= 0:
                with suppress(ProcessLookupError):
                    os.killpg(worker.pid, signal.SIGKILL)
                worker.wait()
                return worker.returncode, True
            self._pause.wait(TURN_S)
        return worker.returncode, False

    def _say(self, state: str, pid: int) -> None:
        written = self._file.with_suffix(".new")
        facts = {"state": state, "pid": pid, "keeper": os.getpid(), "restarts": self._restarts}
        written.write_text(json.dumps(facts), encoding="utf-8")
        written.replace(self._file)


class Manager:
    """What the commands do with the keepers' files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, slot: str) -> None:
        """A slot that is on its way down is started once it is there; one that is up is left."""
        facts = self._facts(slot)
        if facts["state"] == "deactivating":
            self._wait_for_end(slot)
        elif facts["state"] in ("active", "activating"):
            return
        file = self._folder / f"slot-{slot}.json"
        file.unlink(missing_ok=True)
        subprocess.Popen(
            [sys.executable, "-S", __file__, "keep", str(self._folder), slot],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        pause, left_s = threading.Event(), BEGUN_WITHIN_S
        while not file.exists() and left_s > 0:
            pause.wait(TURN_S)
            left_s -= TURN_S

    def stop(self, slot: str) -> None:
        """Returns at once, as with `--no-block`."""
        facts = self._facts(slot)
        if facts["state"] in ("active", "activating", "deactivating"):
            with suppress(ProcessLookupError):
                os.kill(facts["keeper"], signal.SIGTERM)

    def slots(self) -> dict[str, dict[str, Any]]:
        numbers = [re.sub(r"\D", "", path.stem) for path in self._folder.glob("slot-*.json")]
        return {slot: self._facts(slot) for slot in sorted(numbers, key=int)}

    def _facts(self, slot: str) -> dict[str, Any]:
        try:
            facts: dict[str, Any] = json.loads((self._folder / f"slot-{slot}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"state": "inactive", "pid": 0, "keeper": 0, "restarts": 0}
        return facts

    def _wait_for_end(self, slot: str) -> None:
        pause = threading.Event()
        while self._facts(slot)["state"] == "deactivating":
            pause.wait(TURN_S)


_WORDS = {"active": "running", "activating": "starting", "deactivating": "stopping", "failed": "failed"}


def own_command(folder: Path, words: list[str]) -> int:
    """`start SLOT`, `stop SLOT`, `list`: what a team's own commands may look like."""
    manager = Manager(folder)
    if words[0] == "list":
        for slot, facts in manager.slots().items():
            if facts["state"] in _WORDS:
                sys.stdout.write(f"{slot} {facts['pid'] or '-'} {_WORDS[facts['state']]}\n")
        return 0
    {"start": manager.start, "stop": manager.stop}[words[0]](words[1])
    return 0


def systemctl(folder: Path, words: list[str]) -> int:
    """`systemctl start|stop|show` for the units of one template."""
    verb, *names = [word for word in words if not word.startswith("-")]
    manager = Manager(folder)
    if verb == "show":
        shown = next(word.partition("=")[2] for word in words if word.startswith("--property=")).split(",")
        sys.stdout.write("\n".join(_shown(manager, names, shown)))
        return 0
    slots = [re.fullmatch(r"rq-worker@(\d+)\.service", name) for name in names]
    if not all(slots):
        sys.stderr.write(f"Failed to {verb} {names[0]}: Unit {names[0]} not found.\n")
        return 5
    for match in slots:
        if match is not None:
            {"start": manager.start, "stop": manager.stop}[verb](match[1])
    return 0


def _shown(manager: Manager, names: list[str], shown: list[str]) -> list[str]:
    """Units that are named are shown whatever they are; a pattern shows those in memory."""
    slots = manager.slots()
    blocks = []
    for name in names:
        known = [UNIT.replace("{slot}", slot) for slot, facts in slots.items() if facts["state"] != "inactive"]
        for unit in fnmatch.filter(known, name) if "*" in name else [name]:
            slot = re.sub(r"\D", "", unit.partition("@")[2])
            facts = slots.get(slot, {"state": "inactive", "pid": 0, "restarts": 0})
            values = {
                "Id": unit,
                "LoadState": "loaded",
                "ActiveState": facts["state"],
                "MainPID": facts["pid"],
                "NRestarts": facts["restarts"],
                "TimeoutStopUSec": "2min 10s",
                "KillMode": "mixed",
            }
            blocks.append("".join(f"{name}={values[name]}\n" for name in shown if name in values))
    return blocks


def furnish(folder: Path, command: str, **settings: object) -> Path:
    """Write the manager's settings, and a `systemctl` of its own; the folder to put on PATH."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "manager.json").write_text(json.dumps({"command": command, **settings}), encoding="utf-8")
    program = folder / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\nexec {_program("systemctl", folder)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return folder / "bin"


def command_of(folder: Path, words: str) -> str:
    """A command of the team's own for this manager, as a setting."""
    return f"{_program('own', folder)} {words}"


def _program(face: str, folder: Path) -> str:
    return f"{shlex.quote(sys.executable)} -S {shlex.quote(__file__)} {face} {shlex.quote(str(folder))}"


def main() -> int:
    face, folder, *words = sys.argv[1:]
    if face == "keep":
        Keeper(Path(folder), words[0]).run()
        return 0
    return systemctl(Path(folder), words) if face == "systemctl" else own_command(Path(folder), words)


if __name__ == "__main__":
    raise SystemExit(main())
