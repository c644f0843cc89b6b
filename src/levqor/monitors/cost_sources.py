"""Which sources of money can be believed now (spec C6)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from levqor.domain.costs import CostRules, SourceView
from levqor.store.spend_sources import source_states


def source_views(connection: Connection, now: datetime, rules: CostRules) -> dict[str, SourceView]:
    """Of the sources that have to be asked and have a key; nothing is read where there are none."""
    if not rules.sources:
        return {}
    return {state["source"]: _view(state) for state in source_states(connection, now, rules.sources) if state["source"] in rules.sources}


def _view(state: Mapping[str, Any]) -> SourceView:
    read_at = None if state["synced_at"] is None else datetime.fromisoformat(state["synced_at"])
    return SourceView(state["status"] != "ok", read_at, problem_of(state))


def problem_of(state: Mapping[str, Any]) -> str:
    """Why its figures are not of now, in words; empty where they are."""
    if state["status"] in ("ok", "not_configured"):
        return ""
    if state["error"]:
        return str(state["error"])
    return "it has not been read yet" if state["synced_at"] is None else f"it was last read {state['synced_at']}"


def configured_sources(rules: CostRules) -> set[str]:
    """Those that bring entries of their own."""
    return {*rules.sources, *(["infra"] if rules.constants else [])}


def describe_sources(
    connection: Connection, now: datetime, rules: CostRules, errors: Mapping[str, float | None]
) -> dict[str, dict[str, Any]]:
    """Every source by name: whether it answers, and how far off its forecasts were in the backtest."""
    states = source_states(connection, now, configured_sources(rules))
    answer = {
        state["source"]: {
            "status": state["status"],
            "is_stale": state["is_stale"],
            "read_at": state["synced_at"],
            "problem": problem_of(state) or None,
            "forecast_error": errors.get(state["source"]),
        }
        for state in states
    }
    workers = {"status": "ok" if rules.hourly_cost else "not_configured", "is_stale": False, "read_at": None, "problem": None}
    return {**answer, "workers": {**workers, "forecast_error": errors.get("workers")}}


def billing_state(connection: Connection, now: datetime, rules: CostRules) -> dict[str, Any]:
    """Can billing be read: `ok`, `not_configured` or `down` (spec E3)."""
    view = source_views(connection, now, rules).get("stripe")
    if view is None:
        return {"status": "not_configured", "detail": "STRIPE_SECRET_KEY is not set", "read_at": None}
    read_at = None if view.read_at is None else view.read_at.isoformat()
    if view.is_behind:
        return {"status": "down", "detail": view.problem, "read_at": read_at}
    return {"status": "ok", "detail": "Stripe was read to its end", "read_at": read_at}
