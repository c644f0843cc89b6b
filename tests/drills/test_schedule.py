"""Three autopilots on one PostgreSQL while the system's clock runs 600 times too fast: each due time has one run (spec T2)."""

import json
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.conftest import Valkey
from tests.drills.stack import kill, report
from tests.drills.test_clock import FakeClock, needs_faketime
from tests.integration.scheduling import rows
from tests.waiting import eventually

from levqor.domain.schedule import Premises, RunState, standard_jobs
from levqor.host import ProcessIdentity
from levqor.monitors.calendar import due_between
from levqor.store.database import Database, database_url
from levqor.store.schedule import known_since
from levqor.store.schema import leases

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120), needs_faketime]

MONDAY = datetime(2026, 3, 2, 1, 50, tzinfo=UTC)
HOURS = 1.5
STEP_S = 60
EVERY_S = 0.1
OFF = ("integrity", "summary", "summary-weekly")
JOBS = [job for job in standard_jobs(Premises(has_cost_source=True, off=OFF)) if job.is_on]


class FastClock:
    """Goes forth a minute each tenth of a second, for every process that looks at the file. Waiting is not made shorter by it."""

    def __init__(self, path: Path) -> None:
        self._clock = FakeClock(path)
        self.environment = self._clock.environment
        self.shift_s = 0
        self.set(MONDAY)

    def set(self, moment: datetime) -> None:
        self.shift_s = round((moment - datetime.now(UTC)).total_seconds())
        self._clock.shift(self.shift_s)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.shift_s)

    def run_until(self, moment: datetime, half_way: threading.Event) -> None:
        pause, middle = threading.Event(), self.now + (moment - self.now) / 2
        while self.now < moment:
            pause.wait(EVERY_S)
            self.shift_s += STEP_S
            self._clock.shift(self.shift_s)
            if self.now >= middle:
                half_way.set()


class Autopilot:
    """One of the three."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        folder.mkdir()
        self.folder = folder
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEVQOR_")}
        homes = {"LEVQOR_DATA": str(folder / "data"), "LEVQOR_LOGS": str(folder / "logs"), "LEVQOR_FLAGS": str(folder / "flags.json")}
        with (folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "levqor.cli", "autopilot"],
                cwd=folder,
                env={**inherited, **environment, **homes},
                stdout=output,
                stderr=output,
            )

    def begun(self) -> list[int]:
        """Runs that its log says it began."""
        log = self.folder / "logs" / "control.log"
        lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
        return [line["run"] for line in lines if line["event"] == "run begins"]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()


@pytest.fixture
def database(postgres_url: str, tmp_path: Path) -> Iterator[Database]:
    opened = Database(database_url(postgres_url, tmp_path))
    opened.migrate()
    yield opened
    opened.drop_everything()
    opened.close()


def holder(database: Database) -> str:
    with database.read() as connection:
        return str(connection.execute(leases.select().where(leases.c.name == "autopilot")).one().holder)


def test_each_due_time_has_one_run_though_the_leader_is_killed(
    database: Database, postgres_url: str, valkey: Valkey, tmp_path: Path
) -> None:
    clock, until = FastClock(tmp_path / "clock"), MONDAY + timedelta(hours=HOURS)
    nowhere = {"OPENAI_ADMIN_KEY": "key-of-nobody", "OPENAI_API_BASE": "http://127.0.0.1:9"}
    settings = {"DATABASE_URL": postgres_url, "REDIS_URL": valkey.url, "SCHEDULE_OFF": ",".join(OFF), "FLEET_KIND": "none", **nowhere}
    autopilots = [Autopilot(tmp_path / f"autopilot{n}", {**settings, **clock.environment}) for n in range(3)]
    by_pid = {autopilot.process.pid: autopilot for autopilot in autopilots}
    try:
        eventually(lambda: _knows(database), 30, what="a leader that knows the jobs")
        clock.set(MONDAY)
        half_way = threading.Event()
        ticking = threading.Thread(target=clock.run_until, args=(until, half_way))
        ticking.start()
        half_way.wait(60)
        killed = ProcessIdentity.parse(holder(database))
        kill(killed)
        ticking.join(60)
        eventually(lambda: ProcessIdentity.parse(holder(database)).is_alive(), 20, what="a successor")
        eventually(lambda: _due(until) <= _known(database) and _all_over(database), 40, what="the last runs")
    finally:
        for autopilot in autopilots:
            autopilot.stop()
        for autopilot in autopilots:
            autopilot.process.wait(20)
    found = rows(database)
    tally = Counter((run.job, run.due_key) for run in found if not run.state.is_cut)
    cut = {(run.job, run.due_key): run.id for run in found if run.state.is_cut}
    report(f"{len(found)} runs of {len(tally)} due times by {len(autopilots)} autopilots: {Counter(run.state.value for run in found)}")
    assert set(tally.values()) == {1}, "each due time once"
    for key in _due(until) - set(tally):
        assert any(run.job == key[0] and run.id > cut[key] for run in found), "what was cut off was caught up by a newer due time"
    assert {job for job, _key in tally} == {"backup-cycle", "forecast", "costs-sync"}
    begun = [run for autopilot in autopilots for run in autopilot.begun()]
    assert sorted(begun) == sorted(run.id for run in found if run.state is not RunState.MISSED), "as their own logs tell"
    assert killed.pid in by_pid


def _knows(database: Database) -> bool:
    with database.read() as connection:
        return len(known_since(connection)) == len(JOBS)


def _due(until: datetime) -> set[tuple[str, str]]:
    return {(job.id, due.key) for job in JOBS for due in due_between(job, MONDAY + timedelta(minutes=1), until)}


def _known(database: Database) -> set[tuple[str, str]]:
    return {(run.job, run.due_key) for run in rows(database)}


def _all_over(database: Database) -> bool:
    return all(not run.state.is_open for run in rows(database))
