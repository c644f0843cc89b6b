"""`costs forecast` and `costs today` with no service running: they work on the database in LEVQOR_DATA."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from levqor.host import SystemClock


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEVQOR_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def spent(data: Path, run: Run, tmp_path: Path) -> Path:
    """Ten a day for the last 40 days."""
    today = SystemClock().now().date().toordinal()
    rows = [f"{SystemClock().now().date().fromordinal(today - n)},10,k{n}" for n in range(1, 41)]
    path = tmp_path / "costs.csv"
    path.write_text("\n".join(["day,amount,key", *rows]), encoding="utf-8")
    assert run("costs", "import", str(path), "--source", "infra").code == 0
    return data


def test_without_anything_it_says_that_it_knows_nothing(data: Path, run: Run) -> None:
    """C2: a number, and no interval."""
    ran = run("costs", "forecast")
    assert ran.code == 0
    assert "no history to say it from" in ran.out
    answer = run("costs", "forecast", "--json").json
    assert (answer["schema"], answer["forecast_next_30d"], answer["confidence_low"]) == (1, 0.0, None)


def test_persist_writes_the_file_whole(spent: Path, run: Run) -> None:
    """C4."""
    ran = run("costs", "forecast", "--persist", "--json")
    assert ran.code == 0
    kept = json.loads((spent / "last_forecast.json").read_text(encoding="utf-8"))
    assert kept == ran.json
    assert kept["forecast_next_30d"] == pytest.approx(300.0)
    assert [path.name for path in spent.iterdir() if path.name.startswith(".last")] == []
    assert "last_forecast.json" in ran.err


def test_persist_into_a_place_that_cannot_be_written_is_one_line(spent: Path, run: Run) -> None:
    (spent / "last_forecast.json").mkdir()
    ran = run("costs", "forecast", "--persist")
    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_the_kept_forecast_is_shown_until_it_is_refreshed(spent: Path, run: Run) -> None:
    """C2."""
    first = run("costs", "forecast", "--json").json["computed_at"]
    assert run("costs", "forecast", "--json").json["computed_at"] == first
    assert run("costs", "forecast", "--refresh", "--json").json["computed_at"] != first


def test_a_method_by_name(spent: Path, run: Run) -> None:
    """C3."""
    answer = run("costs", "forecast", "--method", "linear", "--json").json
    assert (answer["method"], answer["confidence_high"]) == ("linear", pytest.approx(360.0))
    wrong = run("costs", "forecast", "--method", "guess")
    assert (wrong.code, "auto, linear, level" in wrong.err) == (2, True)


def test_the_plot_has_a_bar_for_each_day(spent: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVQOR_DAILY_SPEND_LIMIT", "9")
    ran = run("costs", "forecast", "--plot")
    assert ran.out.count("█ ") + ran.out.count("░ ") >= 30
    assert "above the limit on" in ran.out
    assert "is used up on" in ran.out or "lasts" in ran.out


def test_today(spent: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEVQOR_DAILY_SPEND_LIMIT", "50")
    monkeypatch.setenv("LEVQOR_STRIPE_SECRET_KEY", "sk_test_1")
    assert run("costs", "add", "--source", "infra", "--amount", "3.50").code == 0
    answer = run("costs", "today", "--json").json
    assert (answer["cost"], answer["budget"]["amount"] > 50) == (3.5, True)
    ran = run("costs", "today")
    assert "so far: 3.50 usd (infra 3.50)" in ran.out
    assert "stripe has never been read" in ran.err
