"""A run as a document, and as JUnit's XML. What checks say is printable (`told`), so that XML can hold it."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from levqor.verify.checks import Outcome, Result, Stage


def report(suite: str, url: str, at: datetime, duration_s: float, todo: Sequence[Stage], results: Sequence[Result]) -> dict[str, Any]:
    """Everything about one run. `failed_at`: the stage that ended it; what came after it was not run, and is counted."""
    counts = {outcome.value.lower(): sum(result.outcome is outcome for result in results) for outcome in Outcome}
    failed = [result for result in results if result.outcome is Outcome.FAIL]
    total = sum(len(stage.checks) for stage in todo)
    return {
        "suite": suite,
        "base_url": url,
        "at": at.isoformat(),
        "duration_s": round(duration_s, 3),
        "ok": not failed,
        "failed_at": failed[0].stage if failed else None,
        "failed": [result.id for result in failed],
        "counts": {**counts, "not_run": total - len(results)},
        "stages": [stage.name for stage in todo],
        "checks": [result.as_dict() for result in results],
    }


def verdict(found: dict[str, Any]) -> str:
    """The last line: `FAILED @ stage`, or that it passed."""
    counts = found["counts"]
    said = ", ".join(f"{counts[name]} {word}" for name, word in (("pass", "passed"), ("fail", "failed"), ("skip", "skipped")))
    if found["ok"]:
        return f"OK: {said} in {found['duration_s']:.1f} s"
    return f"FAILED @ {found['failed_at']}: {', '.join(found['failed'])} ({said}, {counts['not_run']} not run)"


def junit(found: dict[str, Any], results: Sequence[Result]) -> bytes:
    """The same for a CI server: a test suite for each stage, a test case for each check."""
    top = ET.Element("testsuites", {"name": f"levqor verify {found['suite']}", **_counts(results)})
    for stage, group in groupby(results, key=lambda result: result.stage):
        members = list(group)
        suite = ET.SubElement(
            top, "testsuite", {"name": stage, "timestamp": found["at"], "hostname": found["base_url"], **_counts(members)}
        )
        for result in members:
            _case(suite, result)
    ET.indent(top)
    return bytes(ET.tostring(top, encoding="utf-8", xml_declaration=True)) + b"\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.outcome is Outcome.FAIL for result in results)),
        "errors": "0",
        "skipped": str(sum(result.outcome is Outcome.SKIP for result in results)),
        "time": f"{sum(result.duration_s for result in results):.3f}",
    }


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"levqor.{result.stage}", name=result.id, time=f"{result.duration_s:.3f}")
    if result.outcome is Outcome.FAIL:
        ET.SubElement(case, "failure", message=result.seen or result.reason).text = result.reason
    elif result.outcome is Outcome.SKIP:
        ET.SubElement(case, "skipped", message=result.reason)
    else:
        ET.SubElement(case, "system-out").text = f"expected: {result.expected}\nseen: {result.seen}"
