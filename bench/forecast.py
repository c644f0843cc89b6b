"""How good 30-day sums are, how true their 80 % band is, and what they cost, beside simple methods and statsforecast."""

import csv
import math
import os
import random
import statistics
import subprocess
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from levqor.domain.forecast import Line
from levqor.policies.forecast import forecast_lines, forecast_sum

DATA = Path(__file__).parent / "data" / "daily.csv"
HORIZON = 30
ORIGINS, LONG, LONG_ORIGINS = 6, 500, 12
MIN_HISTORY = 40
PEER_ROWS = 36
"""Rows of a group that the slow peers forecast too."""

SAMPLE = "sample"
UNSEEN = "unseen"
SAMPLE_RATIO_LIMIT = 0.6
GROUP_RATIO_LIMIT = 0.75
PEER_LIMIT = 1.05
COVERAGE = (0.72, 0.88)
LINES = 20
LINES_LIMIT_MS = 20.0
SIMPLE = ("linear", "flat", "naive", "level", "auto")
PEERS = ("AutoETS", "AutoTheta")

Values = list[float | None]
Sums = dict[str, tuple[float, float | None, float | None]]


@dataclass(frozen=True, slots=True)
class Row:
    """One forecast to make: what was known, and what came."""

    group: str
    series: str
    start: date
    past: Values
    became: float


def committed() -> Iterable[tuple[str, str, date, Values]]:
    with DATA.open() as lines:
        for row in csv.DictReader(lines):
            values: Values = [None if word == "-" else float(word) for word in row["values"].split()]
            yield row["group"], row["id"], date.fromisoformat(row["start"]), values


def handed_in(folder: Path) -> Iterable[tuple[str, str, date, Values]]:
    """`daily.csv` (unique_id, ds, y) of a folder, in place of the committed sample."""
    found: dict[str, list[tuple[date, float]]] = defaultdict(list)
    with (folder / "daily.csv").open() as lines:
        for row in csv.DictReader(lines):
            found[row["unique_id"]].append((date.fromisoformat(row["ds"]), float(row["y"])))
    for name, days in found.items():
        first, known = min(days)[0], dict(days)
        yield SAMPLE, name, first, [known.get(first + timedelta(days=day)) for day in range((max(days)[0] - first).days + 1)]


def series() -> Iterable[tuple[str, str, date, Values]]:
    folder = os.environ.get("LEVQOR_SERIES")
    if folder:
        yield from handed_in(Path(folder))
    yield from (one for one in committed() if not folder or one[0] != SAMPLE)


def rows() -> Iterable[Row]:
    """Up to six starts a series, twelve of one longer than 500 days, 30 days apart from its end backwards."""
    for group, name, first, values in series():
        for number in range(LONG_ORIGINS if len(values) > LONG else ORIGINS):
            end = len(values) - HORIZON * (number + 1)
            ahead = [value for value in values[max(end, 0) : end + HORIZON] if value is not None]
            if end < MIN_HISTORY or len(ahead) < 0.8 * HORIZON:
                continue
            became = sum(ahead) / len(ahead) * HORIZON
            if became > 0:
                yield Row(group, name, first, values[:end], became)


def filled(values: Values) -> list[float]:
    """For the peers, which know no gaps: the last value of the same weekday."""
    whole: list[float] = []
    for value in values:
        whole.append(value if value is not None else whole[-7] if len(whole) >= 7 else 0.0)
    return whole


def simple(row: Row) -> Sums:
    whole = filled(row.past)
    month, week = whole[-28:], whole[-7:]
    said: Sums = {
        "flat": (sum(month) / len(month) * HORIZON, None, None),
        "naive": (sum(week[day % 7] for day in range(HORIZON)), None, None),
    }
    for method in ("linear", "level", "auto"):
        made = forecast_sum(row.past, row.start, HORIZON, method)
        assert made.total is not None
        said[method] = (made.total, made.low, made.high)
    return said


def peers(row: Row, models: dict[str, Callable[[], Any]], spent: dict[str, float]) -> Sums:
    import numpy as np

    values = np.array(filled(row.past))
    said: Sums = {}
    for name, model in models.items():
        begin = time.process_time()
        made = model().forecast(values, HORIZON, level=[80])
        spent[name] += time.process_time() - begin
        said[name] = (float(made["mean"].sum()), float(made["lo-80"].sum()), float(made["hi-80"].sum()))
    return said


def peer_models() -> dict[str, Callable[[], Any]]:
    from statsforecast.models import AutoETS, AutoTheta

    return {"AutoETS": lambda: AutoETS(season_length=7), "AutoTheta": lambda: AutoTheta(season_length=7)}


def error_by_group(found: list[tuple[Row, Sums]], method: str) -> dict[str, float]:
    """Mean absolute relative error of the sums, each series counting once."""
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row, said in found:
        errors[row.group][row.series].append(abs(said[method][0] - row.became) / row.became)
    return {group: statistics.fmean(statistics.fmean(one) for one in by_series.values()) for group, by_series in errors.items()}


def coverage(found: list[tuple[Row, Sums]], method: str) -> dict[str, tuple[float, float]]:
    """By group: the share of sums inside the band, and the band's median width beside the forecast."""
    inside: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row, said in found:
        total, low, high = said[method]
        assert low is not None
        assert high is not None
        inside[row.group].append((float(low <= row.became <= high), (high - low) / max(total, 1e-9)))
    return {
        group: (statistics.fmean(one for one, _ in rows), statistics.median(width for _, width in rows)) for group, rows in inside.items()
    }


def left_out(found: list[tuple[Row, Sums]]) -> dict[str, float]:
    """By group: coverage of a band whose width was set by the other groups alone, each of them counting the same."""
    misses: dict[str, list[float]] = defaultdict(list)
    for row, said in found:
        misses[row.group].append(off_beside_band(row, *said["auto"]))
    quantile = {group: sorted(off)[int(0.8 * (len(off) - 1))] for group, off in misses.items()}
    answer = {}
    for group, off in misses.items():
        width = statistics.fmean(min(one, 3.0) for other, one in quantile.items() if other != group)
        answer[group] = statistics.fmean(float(one <= width) for one in off)
    return answer


def off_beside_band(row: Row, total: float, low: float | None, high: float | None) -> float:
    """The error as a share of the band's room on its side, on the log scale: at most 1 is inside."""
    assert low is not None
    assert high is not None
    if min(total, low) <= 0:
        return 1.0 if low <= row.became <= high else math.inf
    room = math.log(high / total) if row.became > total else math.log(total / low)
    return abs(math.log(row.became / total)) / max(room, 1e-9)


def chosen_for_peers(found: list[tuple[Row, Sums]]) -> list[tuple[Row, Sums]]:
    by_group: dict[str, list[tuple[Row, Sums]]] = defaultdict(list)
    for one in found:
        by_group[one[0].group].append(one)
    source = random.Random(5)
    return [one for group in by_group.values() for one in source.sample(group, min(PEER_ROWS, len(group)))]


def lines_ms() -> float:
    """CPU time of 20 cost lines of 400 days each; the quickest of some runs."""
    source = random.Random(1)
    first = date(2025, 1, 1)
    lines = [Line(f"line {n}", "infra", [source.lognormvariate(3, 0.4) for _ in range(400)], first) for n in range(LINES)]
    best = math.inf
    for _ in range(20):
        begin = time.process_time()
        forecast_lines(lines, first + timedelta(days=400))
        best = min(best, time.process_time() - begin)
    return best * 1000


def import_cost(module: str) -> tuple[float, float, str]:
    """Seconds, MB of memory, and which heavy packages an import brings, in a process of its own."""
    code = (
        "import psutil, sys, time; begin = time.perf_counter(); me = psutil.Process(); before = me.memory_info().rss;"
        f"import {module};"
        "print(time.perf_counter() - begin, (me.memory_info().rss - before) / 2**20,"
        " ','.join(name for name in ('numpy', 'scipy', 'pandas', 'numba', 'pyarrow') if name in sys.modules))"
    )
    seconds, megabytes, heavy = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(megabytes), heavy


def table(title: str, columns: tuple[str, ...], figures: dict[str, dict[str, float]], form: str = "{:>11.1%}") -> None:
    print(f"\n{title:<34}" + "".join(f"{name:>11}" for name in columns))
    for group, by_method in figures.items():
        print(f"{group:<34}" + "".join(form.format(by_method[name]) for name in columns))


def by_group(found: list[tuple[Row, Sums]], methods: tuple[str, ...]) -> dict[str, dict[str, float]]:
    columns = {method: error_by_group(found, method) for method in methods}
    groups = list(columns[methods[0]])
    figures = {group: {method: columns[method][group] for method in methods} for group in groups}
    figures["mean of groups"] = {method: statistics.fmean(columns[method].values()) for method in methods}
    return figures


def verdict(name: str, value: float, low: float, high: float, form: str = "{:.2f}") -> bool:
    is_kept = low <= value <= high
    limits = f"{form.format(low)} to {form.format(high)}" if low > 0 else f"at most {form.format(high)}"
    print(f"{name:<66}{form.format(value):>9}   {limits:<18}{'' if is_kept else '  MISSED'}")
    return is_kept


def judge(
    errors: dict[str, dict[str, float]], covered: dict[str, tuple[float, float]], alone: dict[str, float], peer: dict[str, dict[str, float]]
) -> list[bool]:
    unlike = [group for group in covered if group != SAMPLE]
    kept = [verdict("error beside linear, sample", errors[SAMPLE]["auto"] / errors[SAMPLE]["linear"], 0, SAMPLE_RATIO_LIMIT)]
    kept += [
        verdict(f"error beside linear, {group}", errors[group]["auto"] / errors[group]["linear"], 0, GROUP_RATIO_LIMIT) for group in unlike
    ]
    for group in (SAMPLE, "mean of groups"):
        best = min(peer[group][name] for name in PEERS)
        kept.append(verdict(f"error beside the better of AutoETS and AutoTheta, {group}", peer[group]["auto"] / best, 0, PEER_LIMIT))
    kept.append(verdict("the band covers, sample", covered[SAMPLE][0], *COVERAGE))
    kept.append(verdict("the band covers, mean of the other groups", statistics.fmean(covered[group][0] for group in unlike), *COVERAGE))
    kept.append(verdict("the band covers, series that took no part in its making", covered[UNSEEN][0], *COVERAGE))
    kept.append(verdict("the band covers groups that did not set its width, mean", statistics.fmean(alone.values()), *COVERAGE))
    return kept


def main() -> int:
    warnings.filterwarnings("ignore")  # the peers' own
    begin = time.process_time()
    found = [(row, simple(row)) for row in rows()]
    each_ms = (time.process_time() - begin) / len(found) / 3 * 1000
    print(f"{len(found)} forecasts of 30-day sums, {len({(row.group, row.series) for row, _ in found})} series")
    errors = by_group(found, SIMPLE)
    table("error (series count the same)", SIMPLE, errors)
    covered, linear, alone = coverage(found, "auto"), coverage(found, "linear"), left_out(found)
    bands = {
        group: {"covers": covered[group][0], "left out": alone[group], "width": covered[group][1], "linear's": linear[group][0]}
        for group in covered
    }
    bands["mean of groups"] = {
        name: statistics.fmean(one[name] for one in bands.values()) for name in ("covers", "left out", "width", "linear's")
    }
    table("the 80 % band", ("covers", "left out", "width", "linear's"), bands)
    some, models, spent = chosen_for_peers(found), peer_models(), dict.fromkeys(PEERS, 0.0)
    shared = [(row, {**said, **peers(row, models, spent)}) for row, said in some]
    peer = by_group(shared, ("linear", *PEERS, "auto"))
    table(f"error on {len(shared)} of these", ("linear", *PEERS, "auto"), peer)
    peer_bands = {name: coverage(shared, name) for name in (*PEERS, "auto")}
    table(
        "their 80 % bands cover",
        (*PEERS, "auto"),
        {group: {name: peer_bands[name][group][0] for name in peer_bands} for group in peer_bands["auto"]},
    )
    costs = ", ".join(f"{name} {seconds / len(shared) * 1000:.0f}" for name, seconds in spent.items())
    print(f"\nCPU, ms a forecast: ours {each_ms:.2f}, {costs}")
    heavy = {}
    for module in ("levqor.policies.forecast", "statsforecast.models"):
        seconds, megabytes, heavy[module] = import_cost(module)
        print(f"import {module:<28}{seconds:>6.2f} s {megabytes:>6.0f} MB   brings {heavy[module]}")
    print()
    kept = judge(errors, covered, alone, peer)
    kept.append(verdict(f"{LINES} lines of 400 days, ms of CPU", lines_ms(), 0, LINES_LIMIT_MS, "{:.1f}"))
    if heavy["levqor.policies.forecast"] != "numpy":
        print(f"imported more than numpy: {heavy['levqor.policies.forecast']}  MISSED")
        kept.append(False)
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
