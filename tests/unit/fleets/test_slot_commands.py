"""What a process manager's commands say, do and fail to do (spec A7, S3, P5, X2)."""

import os
import shlex
import signal
import sys
import threading

import pytest
from tests.waiting import eventually

from levqor.cli.doctor_slots import judge_unit
from levqor.domain.slots import ListedSlot, SlotState
from levqor.fleets import slot_commands
from levqor.fleets.command import OUTPUT_MAX_BYTES, run
from levqor.fleets.slot_commands import Acts, Asking, OwnCommands, SlotsUnknown, Units
from levqor.host import SystemClock

ASKING = Asking(SystemClock(), lambda text: text.replace("hunter2", "***"))


def listing(code: str) -> OwnCommands:
    return OwnCommands("up {slot}", "down {slot}", f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}", ASKING)


def printed(text: str) -> dict[int, ListedSlot]:
    return listing(f"print({text!r})").listed(threading.Event())


def test_the_teams_list_is_read_line_by_line() -> None:
    assert printed("1 4711\n2\n\n 3 - starting\n4 99 stopping\n5 - failed") == {
        1: ListedSlot(1, SlotState.RUNNING, 4711),
        2: ListedSlot(2, SlotState.RUNNING),
        3: ListedSlot(3, SlotState.STARTING),
        4: ListedSlot(4, SlotState.STOPPING, 99),
        5: ListedSlot(5, SlotState.FAILED),
    }
    assert printed("") == {}, "no slot runs: that is an answer"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("print('worker-1 up')", "prints a line that is no slot: worker-1 up", id="rubbish"),
        pytest.param("print('0 12')", "no slot", id="no slot 0"),
        pytest.param("print('1 ' + '9' * 5000)", "no slot", id="a number without end"),
        pytest.param("print('1 7'); raise SystemExit(3)", "ended with exit code 3: 1 7", id="fails"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "ended by signal 9", id="is killed"),
        pytest.param("import sys; sys.exit('no access with hunter2')", "no access with ***", id="its last words hold no secret"),
        pytest.param(f"print('1\\n' * {OUTPUT_MAX_BYTES})", "printed more than 1 MB", id="prints too much"),
        pytest.param("while True: print('1')", "printed more than 1 MB and was ended", id="prints without end"),
    ],
)
def test_a_list_that_cannot_be_read_is_unknown(code: str, said: str) -> None:
    with pytest.raises(SlotsUnknown) as caught:
        listing(code).listed(threading.Event())
    assert any(part in str(caught.value) for part in said.split("|")), caught.value
    assert len(str(caught.value)) < 500


def test_a_list_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_commands, "LIST_TIMEOUT_S", 0.3)
    with pytest.raises(SlotsUnknown, match="did not end within"):
        listing("import threading; threading.Event().wait(60)").listed(threading.Event())
    with pytest.raises(SlotsUnknown, match="cannot be run: No such file"):
        OwnCommands("", "", "/no/such/list", ASKING).listed(threading.Event())


def test_commands_name_the_slot_and_know_no_shell() -> None:
    own = OwnCommands("sv up 'worker {slot}; rm x'", "sv term w{slot}", "list", ASKING)
    assert own.start(3) == ["sv", "up", "worker 3; rm x"]
    assert own.stop(12) == ["sv", "term", "w12"]


UNITS = Units("rq-worker@{slot}.service", 2, ASKING)

SHOWN = """Id=rq-worker@1.service
LoadState=loaded
ActiveState=active
MainPID=812
NRestarts=2

Id=rq-worker@2.service
LoadState=loaded
ActiveState=inactive
MainPID=0
NRestarts=0

Id=rq-worker@3.service
LoadState=loaded
ActiveState=deactivating
MainPID=815
NRestarts=0

Id=rq-worker@4.service
LoadState=loaded
ActiveState=failed
MainPID=0
NRestarts=5

Id=rq-worker@blue.service
LoadState=loaded
ActiveState=active
MainPID=9
NRestarts=0
"""
"""As systemd 252 prints it for two units by name and the rest by pattern."""


def test_what_systemctl_shows_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def output(_: Asking, argv: list[str], __: threading.Event) -> str:
        asked.append(argv)
        return SHOWN

    monkeypatch.setattr(Asking, "output", output)
    assert UNITS.listed(threading.Event()) == {
        1: ListedSlot(1, SlotState.RUNNING, 812, 2),
        2: ListedSlot(2, SlotState.STOPPED, None, 0),
        3: ListedSlot(3, SlotState.STOPPING, 815, 0),
        4: ListedSlot(4, SlotState.FAILED, None, 5),
    }
    assert asked[0][-3:] == ["rq-worker@1.service", "rq-worker@2.service", "rq-worker@*.service"]


@pytest.mark.parametrize("output", ["", "Failed to connect to bus: Host is down", "Id=rq-worker@1.service\nActiveState=dancing\nMainPID=1"])
def test_what_systemctl_cannot_show_is_unknown(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Asking, "output", lambda *_: output)
    with pytest.raises(SlotsUnknown):
        UNITS.listed(threading.Event())


def test_units_are_started_and_stopped_without_waiting_also_those_of_a_user() -> None:
    common = ["--no-ask-password", "--no-pager"]
    assert UNITS.start(2) == ["systemctl", *common, "start", "--no-block", "rq-worker@2.service"]
    user = Units("rq-worker@{slot}", 2, ASKING, is_user=True)
    assert user.stop(2) == ["systemctl", "--user", *common, "stop", "--no-block", "rq-worker@2.service"]


def test_a_command_sees_the_teams_variables_and_no_secret_of_levqors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADMIN_TOKEN", "LEVQOR_REDIS_URL", "LEVQOR_DATABASE_URL_FILE", "LEVQOR_PROCESS", "DATABASE_URL", "LEVQOR_PORT"):
        monkeypatch.setenv(name, "set")
    code = "import os; print(*(n for n in os.environ if os.environ[n] == 'set'))"
    ended = run([sys.executable, "-c", code], 10, SystemClock(), threading.Event(), is_act=True)
    assert set(ended.output.split()) == {"DATABASE_URL", "LEVQOR_PORT"}


def test_an_act_that_prints_much_goes_on_and_its_last_words_are_kept() -> None:
    code = f"import sys; [print('x' * 1000) for _ in range({3 * OUTPUT_MAX_BYTES // 1000})]; sys.exit('it is over')"
    ended = run([sys.executable, "-u", "-c", code], 30, SystemClock(), threading.Event(), is_act=True)
    assert ended.problem == "ended with exit code 1"
    assert len(ended.output) <= OUTPUT_MAX_BYTES
    assert ended.output.endswith("it is over\n")


def test_a_command_of_another_user_cannot_be_ended_and_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `sudo systemctl`: the kernel forbids the signal."""
    groups: list[int] = []

    def forbidden(group: int, _: int) -> None:
        groups.append(group)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "killpg", forbidden)
    ended = run(["sleep", "60"], 0.1, SystemClock(), threading.Event(), is_act=False)
    acts = Acts(SystemClock(), ASKING.mask, timeout_s=0.1)
    acts.begin(1, "stop", ["sleep", "60"])
    found: dict[int, str | None] = {}
    eventually(lambda: found.update(acts.ended()) or found)
    monkeypatch.undo()
    for group in groups:
        os.killpg(group, signal.SIGKILL)
        os.waitpid(group, 0)
    assert ended.problem == "did not end within 0 s and could not be ended"
    assert found == {1: "stop: the command did not end within 0 s and could not be ended"}
    assert not acts.numbers


def test_commands_that_act_go_on_beside_and_say_how_they_ended() -> None:
    acts = Acts(SystemClock(), ASKING.mask, timeout_s=0.5)
    assert acts.begin(1, "start", ["/no/such/program"]) == "start: `/no/such/program` cannot be run: No such file or directory"
    assert acts.begin(2, "stop", ["sh", "-c", "echo it is hunter2; exit 4"]) is None
    assert acts.begin(3, "stop", ["sleep", "60"]) is None
    assert acts.numbers == {2, 3}
    found: dict[int, str | None] = {}
    eventually(lambda: found.update(acts.ended()) or len(found) == 2)
    assert found[2] == "stop: the command ended with exit code 4: it is ***"
    assert "did not end within" in (found[3] or "")


@pytest.mark.parametrize(
    ("facts", "found"),
    [
        ({"LoadState": "loaded", "KillMode": "mixed", "TimeoutStopUSec": "2min"}, []),
        ({"LoadState": "loaded", "KillMode": "process", "TimeoutStopUSec": "infinity"}, []),
        ({"LoadState": "loaded", "KillMode": "mixed", "TimeoutStopUSec": "1min 59s"}, ["slots: TimeoutStopSec"]),
        (
            {"LoadState": "loaded", "KillMode": "control-group", "TimeoutStopUSec": "1min 30s"},
            ["slots: KillMode", "slots: TimeoutStopSec"],
        ),
        ({"LoadState": "not-found", "Id": "rq-worker@1.service"}, ["slots: unit"]),
    ],
)
def test_doctor_says_when_a_stop_would_end_a_job(facts: dict[str, str], found: list[str]) -> None:
    """A8: no job shorter than DRAIN_GRACE_S is cut, and systemd has the last word on that."""
    assert [finding.name for finding in judge_unit(facts, 120.0)] == found
