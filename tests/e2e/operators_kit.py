"""The operator's kit as data: `ops/` and the runbook."""

import re
from typing import Any

import yaml
from tests.e2e.documented import ROOT, page

OPS = ROOT / "ops"


def parsed(name: str) -> Any:
    return yaml.safe_load((OPS / name).read_text(encoding="utf-8"))


def rules(name: str) -> list[dict[str, Any]]:
    """Of a file of Prometheus' rules, all groups together."""
    return [rule for group in parsed(f"prometheus/{name}")["groups"] for rule in group["rules"]]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules("alerts.yml")}


def section(title: str) -> str:
    """Of the runbook."""
    return page("runbook.md").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def entries(title: str) -> dict[str, str]:
    """By name, what the runbook's entries below a heading say."""
    parts = re.split(r"^### (\S+)$", section(title), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))
