"""What `recover`, `incidents` and a post-mortem say (spec I2, L1)."""

from typing import Any

import pytest

from levqor.cli.incidents import say_incident, say_incidents, say_recovery
from levqor.cli.postmortem import post_mortem, sparkline

STEP = {
    "name": "restart_workers",
    "status": "done",
    "before": {"workers": {"w1": 1, "w2": 2}},
    "after": {"workers": {"w3": 3, "w4": 4}, "replaced": ["w1", "w2"]},
    "detail": "2 of 2 workers were replaced",
    "intent_at": "2026-03-01T12:01:00+00:00",
    "outcome_at": "2026-03-01T12:02:00+00:00",
}
INCIDENT: dict[str, Any] = {
    "id": 4,
    "key": "slo:1m",
    "cause": "12 of 60 requests failed | badly",
    "state": "closed",
    "attempts": 1,
    "opened_at": "2026-03-01T12:00:30+00:00",
    "closed_at": "2026-03-01T12:30:00+00:00",
    "escalated_at": None,
    "began_at": "2026-03-01T11:58:00+00:00",
    "evidence": {"judgements": {"errors": {"p_value": 1e-9}}},
    "recoveries": [
        {
            "id": 9,
            "actor": "watchdog",
            "is_automatic": True,
            "state": "ended",
            "verified": "helped",
            "started_at": "2026-03-01T12:00:31+00:00",
            "ended_at": "2026-03-01T12:02:01+00:00",
            "reasons": ["error rate 20.00% is above 1%"],
            "steps": [STEP],
        }
    ],
    "signals": [
        {
            "at": f"2026-03-01T12:{n:02}:00+00:00",
            "error_rate": rate,
            "p99_ms": 90.0,
            "requests": 60,
            "queue_depth": 0.0,
            "dead": None,
            "workers": 2,
        }
        for n, rate in enumerate([0.0, 0.2, None, 0.1])
    ],
}


def test_a_post_mortem_tells_the_timeline_in_order_with_reasons_figures_and_charts() -> None:
    page = post_mortem(INCIDENT)
    events = [line for line in page.splitlines() if line.startswith("- `2026")]
    assert [event.split("` ")[1].split(":")[0] for event in events] == [
        "first evidence",
        "incident opened",
        "recovery 9 called by watchdog, automatically",
        "recovery 9",
        "recovery 9",
        "recovery 9 has acted; verdict",
        "incident closed",
    ]
    assert "error rate 20.00% is above 1%" in page
    assert "| restart_workers | done | workers: 2 (w1, w2) |" in page
    assert "Error rate         ▁█·▅  least 0.00%, most 20.00%" in page
    assert "Dead letters" not in page, "what was never measured has no chart"
    assert "failed \\| badly" in page, "a cell stays a cell"


def test_an_incident_whose_minutes_are_gone_has_a_report_too() -> None:
    assert "No minute of this incident is kept" in post_mortem({**INCIDENT, "signals": []})


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        pytest.param([0, 0], 10, "▁▁", id="zero is the lowest bar"),
        pytest.param([None, 1.0], 10, "·█", id="a gap stays a gap"),
        pytest.param([1, 8, 0, 0], 2, "█▁", id="the highest of each share"),
        pytest.param([], 10, "", id="nothing"),
    ],
)
def test_a_sparkline(values: list[float | None], width: int, line: str) -> None:
    assert sparkline(values, width) == line


ANSWER = {"ok": True, "recovered": True, "dry_run": False, "incident_id": 4, "reasons": ["because"], "steps": [STEP]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({}, "incident 4: recovered", id="done"),
        pytest.param({"ok": False}, "incident 4: not everything worked", id="failed"),
        pytest.param({"ok": None}, "recovery of incident 4 goes on; `levqor incidents 4` shows how far it is", id="202"),
        pytest.param({"reasons": [], "steps": []}, "healthy: there is nothing to recover from", id="healthy"),
        pytest.param({"dry_run": True, "would_refuse": None}, "dry run, nothing was done; this would run", id="dry run"),
        pytest.param(
            {"dry_run": True, "would_refuse": {"reason": "the store is down"}},
            "dry run, nothing was done; it would be refused: the store is down",
            id="dry run refused",
        ),
        pytest.param(
            {"dry_run": True, "reasons": [], "would_refuse": None}, "dry run, nothing was done; there is no cause to recover", id="no cause"
        ),
    ],
)
def test_what_a_recovery_says_first(change: dict[str, Any], said: str) -> None:
    assert say_recovery({**ANSWER, **change})[0] == said


def test_lists_and_stories() -> None:
    assert say_incidents({"incidents": [], "guards": {"failed_in_a_row": 0}}) == ["no incident is recorded"]
    assert say_incidents({"incidents": [INCIDENT], "guards": {"failed_in_a_row": 2}})[-1].startswith("2 automatic recoveries in a row")
    assert "    restart_workers: done, 2 of 2 workers were replaced" in say_incident(INCIDENT)
