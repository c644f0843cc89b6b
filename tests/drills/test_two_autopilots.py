"""Two autopilots on one database and one store: one acts, and one that slept too long changes nothing (spec P2)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.conftest import Valkey
from tests.drills.conftest import begun
from tests.drills.stack import Stack, kill
from tests.waiting import eventually

from levqor.host import ProcessIdentity

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]

TICKS = 6


@pytest.fixture
def pair(tmp_path: Path, valkey: Valkey) -> Iterator[tuple[Stack, ProcessIdentity]]:
    """A stack whose autopilot is a process of its own, and a second autopilot beside it."""
    settings = {"WEB_WORKERS": "2", "REDIS_URL": valkey.url, "SCALE_DOWN_QUIET_S": "600"}
    with begun(tmp_path / "stack", **settings) as stack:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEVQOR_")}
        homes = {"LEVQOR_DATA": stack.data, "LEVQOR_LOGS": stack.folder / "logs2", "LEVQOR_FLAGS": stack.folder / "config" / "flags.json"}
        environment = {**inherited, **stack.environment, **{name: str(path) for name, path in homes.items()}}
        with (stack.folder / "output.second").open("wb") as output:
            second = subprocess.Popen(
                [sys.executable, "-m", "levqor.cli", "autopilot"], cwd=stack.folder, env=environment, stdout=output, stderr=output
            )
        identity = ProcessIdentity.of(second.pid)
        assert identity is not None
        try:
            yield stack, identity
        finally:
            second.send_signal(signal.SIGCONT)
            second.terminate()
            assert second.wait(20) == 0


def holder(stack: Stack) -> str:
    return str(stack.sql("SELECT holder FROM leases WHERE name = 'autopilot'")[0][0])


def ticks_of(stack: Stack, term: int) -> int:
    return int(stack.sql("SELECT count(*) FROM decisions WHERE term = ?", term)[0][0])


def events(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def test_a_leader_that_slept_is_replaced_and_changes_nothing_once_awake(pair: tuple[Stack, ProcessIdentity], valkey: Valkey) -> None:
    stack, second = pair
    first = stack.child("autopilot")
    assert holder(stack) == str(first)
    old = stack.term()
    eventually(
        lambda: str(stack.data / "levqor.db") in {file.path for file in psutil.Process(second.pid).open_files()}, 20, what="the second"
    )
    eventually(lambda: ticks_of(stack, old) >= TICKS, 20, what="ticks of the first")
    assert stack.sql("SELECT DISTINCT term FROM decisions") == [(old,)], "one acts"

    os.kill(first.pid, signal.SIGSTOP)
    try:
        eventually(lambda: holder(stack) == str(second), 40, what="the successor")
        assert stack.term() == old + 1
        assert stack.order("POST", "/ops/scale", {"count": 3, "why": "a drill"}).status == 200
        eventually(lambda: stack.is_settled(3), 40, what="the fleet to follow the successor")
        last_old, asleep = ticks_of(stack, old), len(events(stack.folder / "logs" / "control.log"))
        eventually(lambda: ticks_of(stack, old + 1) >= TICKS, 20, what="ticks of the second")
    finally:
        kill(first, signal.SIGCONT)

    def has_noticed() -> bool:
        heard = events(stack.folder / "logs" / "control.log")[asleep:]
        return any(event["event"] in ("does not lead", "stepped down") for event in heard)

    eventually(has_noticed, 20, what="the first autopilot's word that it does not lead")
    seen = ticks_of(stack, old + 1)
    eventually(lambda: ticks_of(stack, old + 1) >= seen + TICKS, 20, what="more ticks of the second")
    assert ticks_of(stack, old) == last_old, "not one decision by the old term"
    assert (stack.term(), holder(stack)) == (old + 1, str(second))
    with valkey.client as client:
        assert client.hgetall("levqor:target:default") == {b"target": b"3", b"term": str(old + 1).encode()}
    assert first.is_alive()
    assert stack.is_settled(3)

    # And back: who stops cleanly need not be waited for.
    kill(second, signal.SIGTERM)
    eventually(lambda: holder(stack) == str(first), 20, what="the first to lead again")
    assert stack.term() == old + 2
    assert stack.target() == 3
    # A second SIGTERM, from the teardown, would meet an interpreter that is on its way out.
    eventually(lambda: not second.is_alive(), 20, what="the end of the second")
