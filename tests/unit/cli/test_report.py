"""`levqor report`: the database alone is enough (spec A12, L1)."""

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from levqor.host import SystemClock
from levqor.store.database import Database, database_url
from levqor.store.work import Work, add_work


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """A day of work in the database, and nothing that runs."""
    now = SystemClock().now()
    database = Database(database_url(None, tmp_path / "data"))
    (tmp_path / "data").mkdir(exist_ok=True)
    database.migrate()
    with database.write() as connection:
        for number in range(120):
            add_work(connection, now - timedelta(minutes=121 - number), "default", Work(60.0, 12.0, 240.0, 0.5, 0.2))
    database.close()
    return tmp_path


class TestCommand:
    def test_text(self, installation: Path, run: Run) -> None:
        done = run("report", "--since", "7d")
        assert done.code == 0
        assert "worker-hours instead of 8.0" in " ".join(done.out.split())
        assert "as it was, in the lab" in done.out

    def test_json_has_the_figures(self, installation: Path, run: Run) -> None:
        document = run("report", "--json").json
        assert (document["schema"], document["jobs"], document["rule"]) == (1, 1440, "threshold")
        assert [side["name"] for side in document["sides"]] == ["as it was", "threshold", "wait", "always the maximum"]

    def test_html_is_written_whole(self, installation: Path, run: Run) -> None:
        done = run("report", "--out", "advice.html")
        assert done.code == 0
        assert "<title>By rule threshold" in (installation / "advice.html").read_text(encoding="utf-8")

    def test_before_there_is_anything_it_says_what_it_waits_for(self, run: Run) -> None:
        done = run("report")
        assert done.code == 4
        assert "ten minutes" in done.err

    @pytest.mark.parametrize("options", [("--since", "soon"), ("--format", "pdf"), ("--out", "/nowhere/advice.html")])
    def test_what_makes_no_sense_is_refused(self, installation: Path, run: Run, options: tuple[str, ...]) -> None:
        assert run("report", *options).code == 2
