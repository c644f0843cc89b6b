"""kill -9 at each moment of a recovery: never a second recovery, no step twice, the incident goes on or closes, the cool-down stands."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.integration.recovery_process import MOMENTS, with_reload
from tests.integration.responding import Responding, RunningClock, StandinAgent, Witness
from tests.waiting import eventually

from levqor.bootstrap.processes import is_surely_gone
from levqor.domain.flags import INCIDENT_AUTORECOVER, NEW_QUEUE_ENABLED
from levqor.monitors.incident_steps import CHECK_WITHIN_S
from levqor.policies.slo import Standing
from levqor.store.database import Database
from levqor.store.incidents import list_incidents, read_steps, recoveries_of

ROOT = Path(__file__).resolve().parents[2]


def run_until_killed(database: Database, store_url: str, folder: Path, moment: str) -> None:
    """A real process, a real SIGKILL."""
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "tests.integration.recovery_process", url, store_url, str(folder), moment]
    found = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=40, check=False)
    assert found.returncode == -9, (found.returncode, found.stdout, found.stderr)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_leader_killed_at_any_moment_leaves_one_recovery_that_its_successor_ends(
    database: Database, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr("levqor.monitors.incident_steps.CHECK_WITHIN_S", min(CHECK_WITHIN_S, 1.0))
    witness = Witness(tmp_path / "witness")
    with StandinAgent(store_url, witness) as agent:
        place = Responding(database, store_url, tmp_path, RunningClock(), "successor", is_dead=is_surely_gone, wrap=with_reload(tmp_path))
        place.set_flag(INCIDENT_AUTORECOVER, True)
        place.set_flag(NEW_QUEUE_ENABLED, True)
        place.store.set("test:dead", 4)
        run_until_killed(database, store_url, tmp_path, moment)
        eventually(place.lease.attempt, what="the lease")
        place.turn()
        place.wait()
        with database.read() as connection:
            (incident,) = list_incidents(connection, 10)
            (recovery,) = recoveries_of(connection, incident["id"])
            steps = {step.name.value: step.status.value for _position, step in read_steps(connection, recovery["id"])}
        assert recovery["state"] == "verifying", "never a second recovery, and this one has gone on to its end"
        done = Counter(witness.lines)
        assert max(done.values()) == 1, f"no step twice: {witness.lines}"
        assert set(steps.values()) <= {"done", "interrupted"}
        what, _, name = moment.partition(":")
        for step, status in steps.items():
            was_begun = step == name and what in ("intent", "act")
            assert status == ("interrupted" if was_begun and not is_found_done(step, what) else "done"), (step, steps)
        assert [line["recovery_id"] for line in place.log_lines()] == [recovery["id"]], "one line per invocation"
        eventually(place.lease.attempt, what="the lease, which a slow machine may have let lapse")
        assert place.watchdog_calls()["refused"] in ("cooldown", "own_action")
        place.pass_time(130)
        assert place.watchdog_calls()["refused"] == "cooldown", "the cool-down stands"
        place.health.now = Standing.MET
        place.pass_time(700)
        with database.read() as connection:
            assert [one["state"] for one in list_incidents(connection, 10)] == ["closed"]
        assert agent.workers
    place.response.close()


def is_found_done(step: str, what: str) -> bool:
    """Workers and web processes show whether they were replaced, also to a successor; a flush shows only what is left."""
    return what == "act" and step != "flush_dead_letters"
