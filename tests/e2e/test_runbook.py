"""The runbook has an entry for every alert that there is, and calls that are taken."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.e2e.documented import ROOT
from tests.e2e.operators_kit import alerts, entries, section
from tests.unit.web.client import STRANGER, Client
from tests.unit.web.fakes import TOKEN, Installation, installation

from levqor.domain.alerts import RUNBOOK, Alert, Kind, Severity
from levqor.domain.schedule import Premises, standard_jobs
from levqor.monitors.episodes import UNKNOWN_GROUPS
from levqor.monitors.slo_watchdog import Objectives

OWN, THEIRS = "Levqor's own alerts", "Prometheus alerts"


def first_text(node: ast.expr | None) -> str | None:
    """A text, or how one that is put together begins."""
    if isinstance(node, ast.JoinedStr):
        node = node.values[0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def is_cause(node: ast.expr) -> bool:
    """Is it a severity with a summary?"""
    if not isinstance(node, ast.Tuple) or len(node.elts) != 2:
        return False
    severity = node.elts[0]
    name = getattr(severity, "id", None) or getattr(severity, "value", None) or getattr(severity, "attr", None)
    return (isinstance(name, str) and name.lower() in ("page", "ticket")) or (
        isinstance(severity, ast.Attribute) and severity.attr == "severity"
    )


def told_keys(tree: ast.Module) -> Iterator[str]:
    """The beginnings of the keys of every cause and alert that a module makes."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in ("enqueue", "Alert", "_Alert"):
                found = [keyword.value for keyword in node.keywords if keyword.arg == "key"] or list(node.args[:1])
        elif isinstance(node, ast.Assign) and is_cause(node.value):
            found = [target.slice for target in node.targets if isinstance(target, ast.Subscript)]
        elif isinstance(node, ast.Dict):
            found = [key for key, value in zip(node.keys, node.values, strict=True) if is_cause(value)]
        elif isinstance(node, ast.DictComp) and is_cause(node.value):
            found = [node.key]
        yield from (text for one in found if (text := first_text(one)) is not None)


def own_keys() -> set[str]:
    """Of everything that Levqor tells by itself, read from its source."""
    sources = sorted((ROOT / "src" / "levqor" / "monitors").glob("*.py"))
    return {key for path in sources for key in told_keys(ast.parse(path.read_text(encoding="utf-8")))} | set(UNKNOWN_GROUPS)


def test_the_runbook_has_an_entry_for_everything_that_levqor_tells_and_no_other() -> None:
    keys = own_keys() - {"test:"}  # a test of the channels asks nobody to do anything
    known = {
        "store",
        "broker",
        "database",
        "agent",
        "flags",
        "freeze",
        "crash_loop",
        "unserved:",
        "slo:",
        "burn:",
        "schedule:",
        "incident:",
        "budget:",
    }
    assert keys >= known, "the walk over the source has gone blind"
    assert {key.partition(":")[0] for key in keys} == set(entries(OWN))


def test_the_runbook_names_every_group_of_signals_series_objective_and_job() -> None:
    own = entries(OWN)
    assert all(f"`{key}`" in own["unknown"] for key in UNKNOWN_GROUPS)
    assert all(f"`slo:{series}`" in own["slo"] for series in Objectives().series)
    assert all(f"`{objective.name}`" in own["burn"] for objective in Objectives().all())
    premises = Premises(analytics_zone="UTC", summary_zone="UTC", has_cost_source=True, has_activity_sql=True, off=[])
    assert all(f"`{job.id}`" in own["schedule"] for job in standard_jobs(premises))


def test_the_runbook_has_an_entry_for_every_prometheus_alert_and_no_other() -> None:
    assert list(entries(THEIRS)) == list(alerts())


@pytest.mark.parametrize("name", [*entries(OWN), *entries(THEIRS)])
def test_an_entry_says_what_it_means_what_was_done_what_to_do_and_when_it_is_over(name: str) -> None:
    text = {**entries(OWN), **entries(THEIRS)}[name]
    assert re.findall(r"\*\*(Means|Levqor did|[Dd]o|Over when)\*\*", text.replace("**do**", "**Do**")) == [
        "Means",
        "Levqor did",
        "Do",
        "Over when",
    ]


@pytest.mark.parametrize(
    ("key", "kind", "anchor"),
    [
        pytest.param("burn:errors:page:1h", Kind.OPENED, "burn", id="opened"),
        pytest.param("store", Kind.REMINDER, "store", id="reminder"),
        pytest.param("incident:7", "escalation", "incident", id="escalation"),
        pytest.param("store", Kind.RESOLVED, None, id="resolved"),
        pytest.param("test:1", Kind.TEST, None, id="test"),
    ],
)
def test_an_alert_ends_with_its_entry_in_the_runbook(key: str, kind: str, anchor: str | None) -> None:
    alert = Alert(id=1, key=key, kind=kind, severity=Severity.PAGE, title="t", text="x", created_at=ManualClock().now())
    assert alert.runbook == (None if anchor is None else f"{RUNBOOK}#{anchor}")
    assert (alert.body.splitlines()[-1] == alert.runbook) == (anchor is not None)


def curls() -> list[str]:
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", section("Calls for the admin"), re.DOTALL)
        for line in block.splitlines()
        if line.startswith("curl ")
    ]


def asked(line: str) -> tuple[str, str, dict[str, Any]]:
    """Method, path, and httpx's options of a curl line."""
    words = shlex.split(line.replace("$TOKEN", TOKEN).replace("$LEVQOR", ""))[1:]
    method, path, headers, content = "GET", "", {}, None
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            content = words.pop(0)
        else:
            path = word
    return method, path, {"headers": headers, "content": content}


def everything() -> Installation:
    """An installation whose desks all answer."""
    desks: dict[str, Any] = {
        "incidents": SimpleNamespace(recover=lambda call, **_: (True, {"ok": True, "incident_id": 1, "steps": []})),
        "retention": SimpleNamespace(retention=lambda *_, **__: {"ok": True, "metrics": []}),
        "schedule": SimpleNamespace(run=lambda *_: {"run_id": 7}),
        "verification": SimpleNamespace(start=lambda *_: (True, {"id": 1, "state": "passed"})),
    }
    given = installation()
    return replace(given, services=replace(given.services, **desks))


@pytest.mark.parametrize("line", curls())
def test_a_call_of_the_runbook_is_taken(line: str) -> None:
    """X1, from beyond this machine, so that the token is what opens."""
    method, path, options = asked(line)
    answer = Client(everything()).at(STRANGER)(method, path, **options)
    assert answer.status_code in (200, 202), answer.text


def test_the_runbook_has_each_call_of_the_contract_with_both_headers() -> None:
    forms = [asked(line) for line in curls()]
    calls = {(method, path.partition("?")[0], options["content"]) for method, path, options in forms}
    paths = {path for _, path, _ in calls}
    assert paths == {
        "/ops/autoscale/dryrun", "/ops/autoscale/apply", "/ops/recover", "/admin/retention",
        "/ops/cost/forecast", "/ops/schedule/retention/run", "/ops/verify",
    }  # fmt: skip
    assert {("POST", "/ops/recover", None), ("POST", "/ops/recover", '{"dry_run": true}')} <= calls
    for call in calls:
        heads = [options["headers"] for method, path, options in forms if (method, path.partition("?")[0], options["content"]) == call]
        assert sorted(name for head in heads for name in head if name != "Content-Type") == ["Authorization", "X-ADMIN-TOKEN"]
