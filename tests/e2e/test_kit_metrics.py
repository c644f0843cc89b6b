"""Dashboard and rules ask only for what `/metrics` has, and alert as Levqor's own policy does."""

import re

import pytest
from tests.e2e.documented import metrics
from tests.e2e.operators_kit import alerts, parsed, rules
from tests.grafana import dashboard, expressions

from levqor.domain.alerts import RUNBOOK
from levqor.monitors.slo_watchdog import Objectives
from levqor.policies.burn import BURN_RULES
from levqor.web.metrics import HTTP_BOUNDS_S

ALERTS = alerts()


def exposed() -> set[str]:
    """Every name that a sample of `/metrics` may have."""
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {f"{name}{suffix}" for name, (kind, _) in metrics().items() for suffix in suffixes.get(kind, ("",))}


def named(expression: str) -> set[str]:
    """The metrics that an expression reads, recorded ones aside."""
    return set(re.findall(r"(?<![\w:])levqor_\w+(?!\w*:)", expression))


@pytest.mark.parametrize("expression", list(expressions("levqor")))
def test_the_dashboard_asks_only_for_metrics_that_there_are(expression: str) -> None:
    assert named(expression) <= exposed()
    assert "$" not in expression, "a variable that Grafana does not know"


def test_every_metric_is_on_the_dashboard() -> None:
    shown = set().union(*map(named, expressions("levqor")))
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown} == set(metrics())


def test_the_dashboards_panels_are_whole_and_lie_side_by_side() -> None:
    board = dashboard()
    assert board["schemaVersion"] >= 38
    variables = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query"}
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == [
        "Am I fine?",
        "Queue",
        "Latency and errors",
        "Workers",
        "Error budgets over 30 days",
        "Dead letters",
        "Spend and forecast",
    ]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
    actions = [re.findall(r'action="(\w+)"', annotation["expr"]) for annotation in board["annotations"]["list"]]
    assert actions == [["scale_up"], ["scale_down"], ["freeze"]]


def test_rules_read_only_metrics_that_there_are_and_figures_that_are_recorded() -> None:
    recorded = {rule["record"] for rule in rules("rules.yml")}
    for rule in (*rules("rules.yml"), *ALERTS.values()):
        assert named(rule["expr"]) <= exposed()
        assert set(re.findall(r"\b[a-z_]+:levqor_\w+:\w+", rule["expr"])) <= recorded
    assert all(re.fullmatch(r"[a-z_]+:levqor_\w+:\w+", name) for name in recorded)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_grave_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOK}#{name.lower()}"
    assert "for" in rule


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_tested_where_it_speaks_and_where_it_is_silent(name: str) -> None:
    cases = [case for test in parsed("prometheus/tests.yml")["tests"] for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


def test_burn_alerts_are_those_of_the_policy() -> None:
    """W6: the same factors, windows and severities as Levqor's own."""
    found = {
        (rule["labels"]["severity"], *re.findall(r"burn:rate(\w+) > ([\d.]+)", rule["expr"]))
        for name, rule in ALERTS.items()
        if name.startswith("LevqorBudgetBurns")
    }
    spans = {300: "5m", 1800: "30m", 3600: "1h", 7200: "2h", 21_600: "6h", 86_400: "1d", 259_200: "3d"}
    assert found == {
        (rule.severity, *((spans[round(span.total_seconds())], f"{rule.factor:g}") for span in (rule.long, rule.short)))
        for rule in BURN_RULES
    }


def test_the_rules_objectives_are_the_defaults() -> None:
    """W1."""
    allowed = {
        rule["labels"]["objective"]: rule["expr"] for rule in rules("rules.yml") if rule["record"] == "objective:levqor_slo_allowed:ratio"
    }
    assert allowed == {objective.name: f"vector({objective.allowed:.3g})" for objective in Objectives().all()}
    bounds = {bound for rule in rules("rules.yml") for bound in re.findall(r'le="([\d.]+)"', rule["expr"])}
    assert bounds == {f"{Objectives().p99_ms / 1000:g}"}
    assert Objectives().p99_ms / 1000 in HTTP_BOUNDS_S
