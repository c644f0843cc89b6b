"""How slots are listed, started and stopped: systemd's units, or commands of the team's own (spec A7)."""

import re
import shlex
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from levqor.domain.errors import DependencyDown
from levqor.domain.slots import ListedSlot, SlotState
from levqor.fleets.command import Running, cannot_run, last_words, run
from levqor.ports import Clock

LIST_TIMEOUT_S = 10.0
CLOSE_WITHIN_S = 2.0
SLOT, COUNT = "{slot}", "{count}"

Mask = Callable[[str], str]
"""Takes every secret out of a text."""


class SlotsUnknown(DependencyDown):
    """The process manager's list could not be had or read: then nobody knows, which is not the same as no slots."""


class SlotCommands(Protocol):
    """The process manager of one fleet's slots, as commands."""

    def listed(self, stop: threading.Event) -> dict[int, ListedSlot]:
        """Every slot that it knows. Raises SlotsUnknown."""
        ...

    def start(self, number: int) -> list[str]: ...

    def stop(self, number: int) -> list[str]:
        """One that lets the worker finish its job."""
        ...


@dataclass(frozen=True, slots=True)
class Asking:
    """Runs the commands that only look."""

    clock: Clock
    mask: Mask

    def output(self, argv: Sequence[str], stop: threading.Event) -> str:
        """What the command prints. Raises SlotsUnknown where it fails, hangs or prints without end."""
        ended = run(argv, LIST_TIMEOUT_S, self.clock, stop, is_act=False)
        if ended.problem is not None:
            raise SlotsUnknown(said(f"`{argv[0]}` {ended.problem}", ended.output, self.mask))
        return ended.output

    def rubbish(self, what: str, line: str) -> SlotsUnknown:
        return SlotsUnknown(said(f"{what} prints a line that is no slot", line, self.mask))


def said(problem: str, output: str, mask: Mask) -> str:
    """A problem with the command's last words, bounded and without secrets."""
    words = last_words(mask(output))
    return f"{problem}: {words}" if words else problem


# systemd

_ACTIVE = {
    "active": SlotState.RUNNING,
    "reloading": SlotState.RUNNING,
    "refreshing": SlotState.RUNNING,
    "activating": SlotState.STARTING,
    "deactivating": SlotState.STOPPING,
    "inactive": SlotState.STOPPED,
    "failed": SlotState.FAILED,
    "maintenance": SlotState.FAILED,
}
SHOWN = ("Id", "LoadState", "ActiveState", "MainPID", "NRestarts")
SETUP = ("Id", "LoadState", "KillMode", "TimeoutStopUSec")


@dataclass(frozen=True, slots=True)
class Units:
    """One template unit, such as `rq-worker@{slot}.service`, of the system's manager or of this user's."""

    unit: str
    slots_max: int
    asking: Asking
    is_user: bool = False

    def listed(self, stop: threading.Event) -> dict[int, ListedSlot]:
        """The slots by name, since a pattern shows only units in memory; and by pattern, since others may have started more."""
        names = [*(self.name(str(number)) for number in range(1, self.slots_max + 1)), self.name("*")]
        output = self.asking.output([*self._systemctl("show"), f"--property={','.join(SHOWN)}", *names], stop)
        return self._read(output)

    def facts(self, stop: threading.Event) -> dict[str, str]:
        """How the first slot's unit is set up. Raises SlotsUnknown."""
        asked = f"--property={','.join(SETUP)}"
        output = self.asking.output([*self._systemctl("show"), asked, self.name("1")], stop)
        return dict(line.partition("=")[::2] for line in output.splitlines())

    def start(self, number: int) -> list[str]:
        return [*self._systemctl("start"), "--no-block", self.name(str(number))]

    def stop(self, number: int) -> list[str]:
        return [*self._systemctl("stop"), "--no-block", self.name(str(number))]

    def name(self, slot: str) -> str:
        unit = self.unit.replace(SLOT, slot)
        return unit if unit.endswith(".service") else f"{unit}.service"

    def _systemctl(self, verb: str) -> list[str]:
        return ["systemctl", *(["--user"] if self.is_user else []), "--no-ask-password", "--no-pager", verb]

    def _read(self, output: str) -> dict[int, ListedSlot]:
        begins, ends = self.name(SLOT).split(SLOT)
        found: dict[int, ListedSlot] = {}
        for block in re.split(r"\n\s*\n", output.strip()):
            unit = dict(line.partition("=")[::2] for line in block.splitlines())
            state = _ACTIVE.get(unit.get("ActiveState", ""))
            if state is None or not unit.get("MainPID", "").isdecimal() or "Id" not in unit:
                raise self.asking.rubbish("`systemctl show`", block)
            number = unit["Id"].removeprefix(begins).removesuffix(ends)
            if re.fullmatch(r"[1-9]\d{0,3}", number) and unit["Id"] == f"{begins}{number}{ends}":
                restarts = unit.get("NRestarts", "")
                found[int(number)] = ListedSlot(
                    int(number), state, int(unit["MainPID"]) or None, int(restarts) if restarts.isdecimal() else None
                )
        return found


# The team's own commands

_LINE = re.compile(
    r"(?P<number>[1-9]\d{0,3})"
    r"(\s+(?P<pid>[1-9]\d{0,9}|-))?"
    r"(\s+(?P<state>starting|running|stopping|stopped|failed))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class OwnCommands:
    """SLOTS_START, SLOTS_STOP and SLOTS_LIST, split as a shell would, but run without one."""

    start_command: str
    stop_command: str
    list_command: str
    asking: Asking

    def listed(self, stop: threading.Event) -> dict[int, ListedSlot]:
        output = self.asking.output(shlex.split(self.list_command), stop)
        found: dict[int, ListedSlot] = {}
        for line in output.splitlines():
            if line.strip():
                slot = self._read(line)
                found[slot.number] = slot
        return found

    def start(self, number: int) -> list[str]:
        return filled(self.start_command, SLOT, number)

    def stop(self, number: int) -> list[str]:
        return filled(self.stop_command, SLOT, number)

    def _read(self, line: str) -> ListedSlot:
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise self.asking.rubbish("SLOTS_LIST", line)
        pid = match["pid"]
        state = SlotState(match["state"] or "running")
        return ListedSlot(int(match["number"]), state, int(pid) if pid and pid != "-" else None)


def filled(command: str, placeholder: str, number: int) -> list[str]:
    return [word.replace(placeholder, str(number)) for word in shlex.split(command)]


class Acts:
    """Commands that act, each on its way beside the looking: some return at once, others only once the worker has ended."""

    def __init__(self, clock: Clock, mask: Mask, timeout_s: float) -> None:
        self._clock, self._mask, self._timeout_s = clock, mask, timeout_s
        self._running: dict[int, tuple[str, Running]] = {}

    @property
    def numbers(self) -> frozenset[int]:
        """Slots with a command on its way."""
        return frozenset(self._running)

    def begin(self, number: int, what: str, argv: Sequence[str]) -> str | None:
        """Begin a command; what went wrong at once, or None."""
        try:
            self._running[number] = (what, Running(argv, self._timeout_s, self._clock, is_act=True))
        except (OSError, ValueError) as error:
            return f"{what}: `{argv[0]}` {cannot_run(error)}"
        return None

    def ended(self) -> dict[int, str | None]:
        """What became of the commands that have ended since the last call: a problem, or None."""
        found: dict[int, str | None] = {}
        for number, (what, running) in list(self._running.items()):
            ended = running.ended()
            if ended is not None:
                del self._running[number]
                found[number] = None if ended.problem is None else said(f"{what}: the command {ended.problem}", ended.output, self._mask)
        return found

    def close(self) -> None:
        """Let commands that are on their way end, for a moment; what takes longer goes on without us, since half of one helps nobody."""
        pause, deadline = threading.Event(), self._clock.monotonic() + CLOSE_WITHIN_S
        while self._running and self._clock.monotonic() < deadline:
            self.ended()
            pause.wait(0.02)
        for _, running in self._running.values():
            running.leave()
        self._running.clear()
