"""The first page: what runs, in which mode, and why it did or did nothing. Plain HTML, made on the server, with nothing from elsewhere."""

import base64
import hashlib
from html import escape
from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from levqor.domain.errors import LevqorError
from levqor.web.auth import Access
from levqor.web.problems import ProblemError
from levqor.web.services import Answer, Services

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0; }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid var(--line); padding: .25rem .5rem .25rem 0; text-align: left; vertical-align: top; }
th { color: var(--quiet); font-weight: normal; white-space: nowrap; }
td { overflow-wrap: anywhere; }
td:last-child { white-space: nowrap; }
nav a { display: inline-block; padding: .3rem .8rem .3rem 0; }
.note { color: var(--quiet); }
.warning { border-left: .3rem solid #c70; padding-left: .6rem; }
"""
LINKS = (
    ("docs", "API"),
    ("status", "status"),
    ("ops/autoscale/dryrun", "what it would do now"),
    ("ops/queue_health", "queues"),
    ("ops/cost/today", "costs today"),
    ("ops/cost/forecast", "costs of the next 30 days"),
    ("ops/uptime", "uptime"),
    ("readyz?verbose", "readiness"),
    ("metrics", "metrics"),
)
MODES = {
    "observe": "It watches and says what it would do; it changes nothing by itself.",
    "act": "It scales the workers by itself.",
    "held": "Somebody holds it: nothing automatic acts.",
    "unknown": "The database does not answer: nothing automatic acts.",
}
SIGNALS = (
    ("oldest_wait_s", "Oldest wait", "s"),
    ("queue_depth", "Jobs waiting", ""),
    ("running", "Jobs running", ""),
    ("dead", "Dead letters", ""),
    ("p95_ms", "P95", "ms"),
    ("p99_ms", "P99", "ms"),
    ("request_rate", "Requests", "/s"),
    ("error_rate", "Errors", "%"),
    ("availability", "Availability", "%"),
    ("failures_5m", "Failures, 5 min", ""),
    ("spend_last_24h", "Guarded spend, 24 h", ""),
    ("forecast_next_30d", "Guarded forecast, 30 d", ""),
)
STATES = {"no_traffic": "no traffic", "not_configured": "not configured", "unknown": "unknown"}
REFRESH_S = 5


def router(services: Services, access: Access) -> APIRouter:
    """The page at `/`."""
    routes = APIRouter(include_in_schema=False)

    async def refusal(request: Request) -> ProblemError | None:
        try:
            await access.reader(request)
        except ProblemError as error:
            return error
        return None

    @routes.api_route("/", methods=["GET", "HEAD"])
    def page(refused: ProblemError | None = Depends(refusal)) -> Response:
        if refused is not None:
            return PlainTextResponse(f"Levqor. {refused.detail}\n", refused.status_code, dict(refused.headers or {}))
        return HTMLResponse(_page(services), headers={"content-security-policy": _policy()})

    return routes


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode("ascii")
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def _page(services: Services) -> str:
    try:
        content = _content(services.operations.status())
    except LevqorError as error:
        content = _warning(f"The state cannot be read: {error}")
    base = escape(services.settings.base_path)
    links = " ".join(f'<a href="{base}/{path}">{title}</a>' for path, title in LINKS)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_S}">
<title>Levqor</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<h1>Levqor</h1>
{content}
<h2>More</h2>
<nav>{links}</nav>
<p class="note">No dashboard was built here, so this small page stands in for it: run <code>make site</code>, then start Levqor again.</p>
<p class="note">Version {escape(services.version)}. This page renews itself every {REFRESH_S} seconds.</p>
</body>
</html>
"""


def _content(status: Answer) -> str:
    mode = str(status.get("mode", "unknown"))
    parts = [f"<p><strong>Mode: {escape(mode)}.</strong> {escape(MODES.get(mode, ''))}</p>", _flags(status.get("flags") or {})]
    parts += [_warning(_hold(hold)) for hold in status.get("holds") or []]
    parts += [_warning(str(advice)) for advice in status.get("advice") or []]
    parts += [_warning(f"Queue {queue} is paused.") for queue in status.get("paused_queues") or []]
    parts += [_warning(_episode(episode)) for episode in status.get("episodes") or []]
    parts += [
        f"<p>Workers: {_number(status.get('running'))} running, target {_number(status.get('target'))}.</p>",
        _decision(status.get("last_decision")),
        _signals(status.get("signals") or {}),
        f'<p class="note">Measured {escape(str(status.get("measured_at") or "never"))}.</p>',
    ]
    return "\n".join(part for part in parts if part)


def _warning(text: str) -> str:
    return f'<p class="warning">{escape(text)}</p>'


def _flags(flags: Answer) -> str:
    error = flags.get("error")
    return _warning(f"The flags file cannot be used, the last good values stay: {error}") if error else ""


def _hold(hold: Answer) -> str:
    remaining_s = hold.get("remaining_s")
    until = "until released" if remaining_s is None else f"for {_span(float(remaining_s))} more"
    return f"Held by {hold.get('owner')} {until}: {hold.get('why') or 'no reason given'}"


def _episode(episode: Answer) -> str:
    return str(episode.get("summary") or "Something is wrong; see /ops/episodes.")


def _decision(decision: Answer | None) -> str:
    if not decision:
        return "<h2>Last decision</h2>\n<p>None yet.</p>"
    reasons = "".join(f"<li>{escape(str(reason.get('text') or reason.get('code')))}</li>" for reason in decision.get("reasons") or [])
    current, target = _number(decision.get("current")), _number(decision.get("target"))
    step = f"the target stays at {target}" if current == target else f"from {current} to {target} workers"
    following = f'<p class="note">Next: {escape(str(decision["next"]))}</p>' if decision.get("next") else ""
    action = escape(str(decision.get("action", "unknown")))
    return f"<h2>Last decision</h2>\n<p><strong>{action}</strong>: {step}</p>\n<ul>{reasons}</ul>\n{following}"


def _signals(signals: dict[str, Answer]) -> str:
    rows = "".join(
        f"<tr><th>{title}</th><td>{escape(_value(signals[name], unit))}</td><td>{escape(_age(signals[name]))}</td></tr>"
        for name, title, unit in SIGNALS
        if name in signals
    )
    return f"<h2>Signals</h2>\n<table><tr><th>signal</th><th>value</th><th>age</th></tr>{rows}</table>"


def _value(signal: Answer, unit: str) -> str:
    value, detail = signal.get("value"), signal.get("detail")
    if signal.get("state") != "value" or value is None:
        state = STATES.get(str(signal.get("state")), "unknown")
        return f"{state} ({detail})" if detail else state
    text = f"{value * 100:.3g} %" if unit == "%" else f"{value:.6g} {unit}".rstrip()
    return f"{text} ({detail})" if detail else text


def _age(signal: Answer) -> str:
    age_s = signal.get("age_s")
    return "" if age_s is None else f"{_span(float(age_s))}"


def _span(seconds: float) -> str:
    """A span in words that fit in a cell."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _number(value: Any) -> str:
    return "unknown" if value is None else escape(str(value))
