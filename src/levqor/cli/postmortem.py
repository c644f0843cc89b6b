"""An incident as a Markdown post-mortem: the timeline, the reasons, what each step measured, and the signals around it."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from levqor.cli.wording import say_before, say_deploy

BARS = "▁▂▃▄▅▆▇█"
GAP = "·"
WIDTH = 60
CHARTS = (
    ("error_rate", "Error rate", "{:.2%}"),
    ("p99_ms", "P99", "{:.0f} ms"),
    ("requests", "Requests a minute", "{:.0f}"),
    ("queue_depth", "Waiting jobs", "{:.0f}"),
    ("dead", "Dead letters", "{:.0f}"),
    ("workers", "Workers", "{:.0f}"),
)


def post_mortem(incident: dict[str, Any]) -> str:
    """The whole page."""
    parts = [
        f"# Incident {incident['id']}: {incident['cause']}",
        _facts(incident),
        "## Timeline",
        _timeline(incident),
        "## Signals",
        _signals(incident["signals"], incident["opened_at"]),
        *_recoveries(incident["recoveries"]),
        "## Evidence",
        f"```json\n{json.dumps(incident['evidence'], indent=2, ensure_ascii=False)}\n```",
        "## What a person adds",
        "- Root cause:\n- What would have prevented it:\n- What is changed because of it:",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(incident: dict[str, Any]) -> str:
    automatic = sum(one["is_automatic"] for one in incident["recoveries"])
    rows = {
        "State": incident["state"],
        "Began (first evidence)": incident["began_at"] or "not known",
        "Opened": incident["opened_at"],
        "A person was asked": incident["escalated_at"] or "no",
        "Closed": incident["closed_at"] or "still open",
        "Recoveries": f"{len(incident['recoveries'])}, of which {automatic} automatic",
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {_cell(value)} |" for name, value in rows.items())])


def _timeline(incident: dict[str, Any]) -> str:
    events = [(incident["began_at"], "first evidence"), (incident["opened_at"], f"incident opened: {incident['cause']}")]
    events += [(one["at"], _deploy(one, incident["began_at"] or incident["opened_at"])) for one in incident.get("deploys") or []]
    for one in incident["recoveries"]:
        who = f"{one['actor']}{', automatically' if one['is_automatic'] else ''}"
        events.append((one["started_at"], f"recovery {one['id']} called by {who}"))
        for step in one["steps"]:
            events.append((step["intent_at"], f"recovery {one['id']}: {step['name']} begins"))
            events.append((step["outcome_at"], f"recovery {one['id']}: {step['name']} {step['status']}. {step['detail']}"))
        events.append((one["ended_at"], f"recovery {one['id']} has acted; verdict: {one['verified'] or 'not told yet'}"))
    events += [(incident["escalated_at"], "a person was asked for help"), (incident["closed_at"], "incident closed")]
    told = sorted(((at, what) for at, what in events if at), key=lambda event: event[0])
    return "\n".join(f"- `{at}` {_cell(what)}" for at, what in told)


def _deploy(deploy: dict[str, Any], began_at: str) -> str:
    """A deploy mark, and how long before the incident it came; one that came later is only named."""
    came, began = datetime.fromisoformat(deploy["at"]), datetime.fromisoformat(began_at)
    before = f", {say_before(came, began)} the first evidence" if came <= began else ""
    return f"{say_deploy(deploy)} by {deploy['actor']}{before}"


def _recoveries(recoveries: Sequence[dict[str, Any]]) -> list[str]:
    parts = []
    for one in recoveries:
        reasons = "\n".join(f"- {_cell(reason)}" for reason in one["reasons"])
        rows = [
            f"| {step['name']} | {step['status']} | {_figures(step['before'])} | {_figures(step['after'])} | {_cell(step['detail'])} |"
            for step in one["steps"]
        ]
        table = "\n".join(["| step | status | before | after | detail |", "|---|---|---|---|---|", *rows])
        parts += [f"## Recovery {one['id']}: {one['verified'] or one['state']}", f"Because:\n\n{reasons}", table]
    return parts


def _signals(points: Sequence[dict[str, Any]], opened_at: str) -> str:
    if not points:
        return "No minute of this incident is kept any more; hours and days are in the roll-ups."
    head = f"By the minute, from {points[0]['at']} to {points[-1]['at']}; `{GAP}` is a minute that was not measured; opened {opened_at}."
    charts = [line for name, title, form in CHARTS if (line := _chart([point[name] for point in points], title, form))]
    return "\n".join([head, "", "```text", *charts, "```"])


def _chart(values: Sequence[float | None], title: str, form: str) -> str | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return f"{title:<18} {sparkline(values)}  least {form.format(min(known))}, most {form.format(max(known))}"


def sparkline(values: Sequence[float | None], width: int = WIDTH) -> str:
    """At most `width` characters, each the highest of its share; zero is the lowest bar, and a gap stays a gap."""
    size = max(1, -(-len(values) // width))
    shares = [[value for value in values[start : start + size] if value is not None] for start in range(0, len(values), size)]
    highest = max((max(share) for share in shares if share), default=0.0)
    return "".join(GAP if not share else _bar(max(share), highest) for share in shares)


def _bar(value: float, highest: float) -> str:
    return BARS[0] if highest <= 0 else BARS[min(len(BARS) - 1, round(value / highest * (len(BARS) - 1)))]


def _figures(measured: dict[str, Any] | None) -> str:
    return "" if measured is None else _cell(", ".join(f"{name}: {_short(value)}" for name, value in measured.items()))


def _short(value: Any) -> str:
    if not isinstance(value, dict | list):
        return str(value)
    names = [str(item) for item in list(value)[:4]] + (["..."] if len(value) > 4 else [])
    return f"{len(value)} ({', '.join(names)})" if value else "0"


def _cell(text: Any) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")
