"""The Grafana dashboard as data: its panels, and its expressions with Grafana's variables filled in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DASHBOARD = Path(__file__).resolve().parents[1] / "ops" / "grafana" / "levqor.json"
VARIABLES = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "6h"}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return found


def expressions(job: str) -> Iterator[str]:
    """Every query of a panel or an annotation, as Prometheus is asked."""
    whole = dashboard()
    queries = [target for panel in whole["panels"] for target in panel.get("targets", ())]
    for query in (*queries, *whole["annotations"]["list"]):
        expression: str = query["expr"].replace("$job", job)
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        yield expression
