"""A replay's report as one HTML page that needs nothing from elsewhere: no script, no font, no picture to fetch."""

import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from html import escape
from itertools import pairwise
from typing import Any

from levqor.lab.recording import Recording, Sample
from levqor.lab.records import SeenDecision
from levqor.lab.report import GAP_S, Report

Point = tuple[float, float | None]

NOT_DRAWN = re.compile(r"<script.*?</script>|<!--.*?-->", re.DOTALL)
"""What the chart library writes beside the drawing."""

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2430; background: #fff; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
.sub { color: #55606f; margin: .2rem 0 1.2rem; } .verdict { font-size: 1.1rem; padding: .7rem 1rem; border-left: 5px solid; }
.good { border-color: #1a7f4b; background: #eef8f2; } .bad { border-color: #b3261e; background: #fdf0ef; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
dl div { border: 1px solid #d9dee5; border-radius: 6px; padding: .5rem .8rem; } dt { color: #55606f; font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; } figure { margin: .4rem 0 1rem; }
figure svg { width: 100%; height: auto; }
figcaption { color: #55606f; font-size: .85rem; } table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #e4e8ee; vertical-align: top; }
th { color: #55606f; font-weight: 600; } td.n { white-space: nowrap; font-variant-numeric: tabular-nums; }
@media print { body { margin: 0; } figure, tr { break-inside: avoid; } }
"""


def render_page(recording: Recording, report: Report) -> str:
    """The whole page."""
    title = f"Replay of {recording.trace}"
    began = recording.started_at.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z").strip()
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{report.accepted} real jobs ({escape(recording.handler)}) in {report.length_s:.0f} s, begun {escape(began)}</p>',
        f'<p class="verdict {"good" if report.is_clean else "bad"}">{escape(verdict(report))}</p>',
        _figures(report),
        _charts(recording),
        "<h2>Steps</h2>",
        _steps(report),
        "<h2>Decisions</h2>",
        _decisions(recording),
    ]
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    return f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"


def verdict(report: Report) -> str:
    """The result in one or two sentences."""
    jobs = f"{report.accepted} jobs accepted, {report.succeeded} succeeded, {report.lost} lost"
    jobs += f", {say(report.doubled)} doubled, {say(report.cut)} cut"
    if report.unended:
        jobs += f", {report.unended} had not ended when the wait was over"
    if not report.steps:
        return f"{jobs}. The target never moved: it stayed at {say(report.target_last)}."
    move = f"from {say(report.target_first)} up to {say(report.target_highest)}; at the end it was {say(report.target_last)}"
    return f"{jobs}. The target went {move}."


def say(value: object, unit: str = "") -> str:
    """A figure, or the word for not having it."""
    return "unknown" if value is None else f"{value}{unit}"


def _figures(report: Report) -> str:
    refused = sum(report.refused.values())
    codes = f" ({', '.join(f'{number} x {code}' for code, number in report.refused.items())})" if refused else ""
    rows = {
        "requests sent": str(report.requests),
        "accepted": str(report.accepted),
        "refused": f"{refused}{codes}",
        "not answered": str(report.unanswered),
        "succeeded": str(report.succeeded),
        "dead": str(report.dead),
        "lost": str(report.lost),
        "doubled": say(report.doubled),
        "cut": say(report.cut),
        "P50 wait": say(report.wait.p50_s, " s"),
        "P95 wait": say(report.wait.p95_s, " s"),
        "worst wait": say(report.wait.worst_s, " s"),
        "worker-hours": say(report.worker_hours),
        "requests late by (P95)": f"{report.late_p95_s} s",
        "steps": str(len(report.steps)),
        "not observed": f"{report.unknown_s} s",
    }
    return "<dl>" + "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows.items()) + "</dl>"


def _charts(recording: Recording) -> str:
    end_s = max([recording.samples[-1].at_s if recording.samples else 0.0, recording.due_s[-1] if recording.due_s else 0.0])
    samples = recording.samples
    charts = [
        ("Load", "jobs per second, as the trace asked for", {"jobs/s": _load(recording.due_s, end_s)}),
        ("Waiting jobs", "queue depth", {"depth": _line(samples, lambda sample: sample.depth)}),
        ("Oldest wait", "seconds that the job at the head has waited", {"oldest wait": _line(samples, lambda sample: sample.oldest_s)}),
        (
            "Workers",
            "target in force, and workers running (dashed); a gap is a moment of which nothing is known",
            {"target": _steps_line(samples, lambda sample: sample.target), "running": _steps_line(samples, lambda sample: sample.running)},
        ),
    ]
    return "".join(_chart(title, caption, series, end_s) for title, caption, series in charts)


def _load(due_s: list[float], end_s: float) -> list[Point]:
    """Arrivals per second as steps, in about a hundred bins."""
    width = max(1.0, end_s / 100)
    bins = [0] * (int(end_s / width) + 1)
    for at_s in due_s:
        bins[min(int(at_s / width), len(bins) - 1)] += 1
    points: list[Point] = []
    for index, count in enumerate(bins):
        points += [(index * width, count / width), (min((index + 1) * width, end_s), count / width)]
    return points


def _line(samples: Sequence[Sample], read: Callable[[Sample], float | None]) -> list[Point]:
    """Points joined by a line; a gap where nothing was known."""
    points: list[Point] = []
    for before, sample in pairwise([Sample(0.0), *samples]):
        if points and sample.at_s - before.at_s > GAP_S:
            points.append((before.at_s, None))
        points.append((sample.at_s, read(sample)))
    return points


def _steps_line(samples: Sequence[Sample], read: Callable[[Sample], float | None]) -> list[Point]:
    """The same, holding each value until the next."""
    points: list[Point] = []
    for (at_s, value), (next_s, next_value) in pairwise(_line(samples, read)):
        points.append((at_s, value))
        if value is not None and next_value is not None and value != next_value:
            points.append((next_s, value))
    return points + _line(samples, read)[-1:]


def _chart(title: str, caption: str, series: dict[str, list[Point]], end_s: float) -> str:
    pygal = _pygal()
    style = pygal.style.Style(
        background="#ffffff", plot_background="#ffffff", foreground="#55606f", foreground_strong="#1c2430", foreground_subtle="#8a94a3",
        colors=("#2457c5", "#c2571a"), font_family="system-ui, sans-serif", label_font_size=11, major_label_font_size=11,
        legend_font_size=12, stroke_width=2, opacity=".18", guide_stroke_color="#e4e8ee", major_guide_stroke_color="#e4e8ee",
    )  # fmt: skip
    highest = max((value for points in series.values() for _, value in points if value is not None), default=0.0)
    chart = pygal.XY(
        style=style, js=[], width=960, height=230, stroke=True, show_dots=False, allow_interruptions=True, range=(0, highest or 1),
        xrange=(0, end_s or 1), include_x_axis=True, fill=len(series) == 1, legend_at_bottom=True, show_legend=len(series) > 1, margin=8,
        x_value_formatter=_clock, x_labels=_marks(end_s), value_formatter=lambda value: f"{value:g}",
        disable_xml_declaration=True, y_labels=_heights(highest),
    )  # fmt: skip
    for index, (name, points) in enumerate(series.items()):
        dashes = {"dasharray": "7,4"} if index else {}
        chart.add(name, points, stroke_style={"width": 2, **dashes})
    svg = NOT_DRAWN.sub("", chart.render(is_unicode=True))
    figure = f'<figure role="img" aria-label="{escape(title)}">{svg}<figcaption>{escape(caption)}</figcaption></figure>'
    return f"<h2>{escape(title)}</h2>{figure}"


def _pygal() -> Any:
    """The chart library, without the import hook that it leaves behind for plug-ins: every later import would warn of it."""
    import pygal
    import pygal.style

    sys.meta_path[:] = [finder for finder in sys.meta_path if not type(finder).__module__.startswith("pygal")]
    return pygal


def _marks(end_s: float) -> list[float]:
    """Round moments for the time axis."""
    step = next((step for step in (5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200) if end_s / step <= 12), 14_400)
    return [float(mark) for mark in range(0, int(end_s) + 1, step)]


def _heights(highest: float) -> list[float]:
    """Round figures for the value axis, from zero on."""
    if highest <= 0:
        return [0, 1]
    wish = highest / 4
    power = 10 ** len(str(int(wish))) / 10 if wish >= 1 else 1 if highest >= 2 else 0.1
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= wish), wish)
    return [round(index * step, 6) for index in range(int(highest / step) + 2)]


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def _steps(report: Report) -> str:
    if not report.steps:
        return "<p>None.</p>"
    rows = [(_clock(step["at_s"]), f"{step['from']} → {step['to']}", step["why"]) for step in report.steps]
    return _table(("after", "target", "why"), rows)


def _decisions(recording: Recording) -> str:
    if not recording.has_decisions:
        return "<p>They could not be read: the service wants the admin token (ADMIN_TOKEN).</p>"
    if not recording.decisions:
        return "<p>No change of mind was recorded.</p>"
    return _table(("after", "decision", "inputs"), [_row(decision, recording.started_at) for decision in recording.decisions])


def _row(decision: SeenDecision, began: datetime) -> tuple[str, str, str]:
    after = "?" if decision.at is None else _clock(max(0.0, (decision.at - began).total_seconds()))
    why_not = f" (not applied: {decision.why_not})" if decision.is_step and decision.applied is False and decision.why_not else ""
    read = {name: signal for name, signal in decision.inputs.items() if signal.get("state") != "not_configured"}
    return after, decision.sentence + why_not, ", ".join(f"{name} {_input(signal)}" for name, signal in read.items())


def _input(signal: dict[str, Any]) -> str:
    value = signal.get("value")
    return str(signal.get("state", "unknown")).replace("_", " ") if value is None else f"{float(value):.4g}"


def _table(names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(_cell(index, cell) for index, cell in enumerate(row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(index: int, text: str) -> str:
    return f'<td class="n">{escape(text)}</td>' if index == 0 else f"<td>{escape(text)}</td>"
