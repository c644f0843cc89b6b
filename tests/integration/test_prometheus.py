"""The operator's kit with the real programs: promtool tests the rules, a real Prometheus scrapes a real service with its token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.conftest import free_port
from tests.grafana import expressions
from tests.integration.running import Installation
from tests.prometheus import RULES, Prometheus, program, promtool
from tests.waiting import eventually

TOKEN = "a-scraper-and-no-more"
REFUSED = "server returned HTTP status 401 Unauthorized"
MAY_BE_EMPTY = ("levqor_cost_forecast_30d", "rate(", "increase(")
"""Without history there is no forecast, and without two scrapes that differ no rate."""


def test_promtool_takes_the_rules() -> None:
    checked = promtool("check", "rules", "rules.yml", "alerts.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_speaks_and_is_silent_as_its_test_says() -> None:
    tested = promtool("test", "rules", "tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    program("prometheus")  # before anything is started
    found = Installation(tmp_path / "levqor", METRICS_TOKEN=TOKEN, WORKER_HOURLY_COST="0.5")
    try:
        yield found.up()
    finally:
        found.stop()


def configuration(folder: Path, service: str) -> Path:
    """The example's with its places filled in, and two more jobs, which come under a name that is not this machine's own."""
    config: dict[str, Any] = yaml.safe_load((RULES / "scrape.yml").read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    for name in config["rule_files"]:
        (folder / name).write_text(yaml.safe_dump(hurried(RULES / name)), encoding="utf-8")
    (folder / "token").write_text(TOKEN, encoding="ascii")
    (folder / "wrong").write_text("another-token", encoding="ascii")
    (example,) = config["scrape_configs"]
    example["authorization"]["credentials_file"] = str(folder / "token")
    example["static_configs"] = [{"targets": [service.removeprefix("http://")]}]
    # The same address in another spelling, which is not one of the names by which a machine calls itself.
    stranger = {**example, "job_name": "stranger", "static_configs": [{"targets": [f"[::ffff:127.0.0.1]:{service.rpartition(':')[2]}"]}]}
    # Wrong tokens are delayed.
    wrong = {
        **stranger,
        "job_name": "wrong",
        "scrape_interval": "3s",
        "scrape_timeout": "3s",
        "authorization": {"credentials_file": str(folder / "wrong")},
    }
    config["scrape_configs"] += [stranger, wrong]
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def hurried(path: Path) -> Any:
    """A file of rules of which no group waits longer than another."""
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    for group in file["groups"]:
        group.pop("interval", None)
    return file


def test_a_real_prometheus_scrapes_with_the_token_and_evaluates_every_rule_and_panel(installation: Installation, tmp_path: Path) -> None:
    """X0: beyond this machine `/metrics` needs its token."""
    for _ in range(5):
        answer = httpx.post(f"{installation.url}/api/v1/intake", json={"handler": "sleep", "payload": {"seconds": 0.01}}, timeout=20)
        assert answer.status_code == 202
    config = configuration(tmp_path, installation.url)
    checked = promtool("check", "config", str(config))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    prometheus = Prometheus(tmp_path, config, free_port())
    try:
        prometheus.wait()
        eventually(lambda: errors(prometheus) == {"levqor": "", "stranger": "", "wrong": REFUSED}, 20, what="two scrapes, one refusal")
        eventually(lambda: {rule["health"] for rule in rules(prometheus)} == {"ok"}, 20, what="the rules")
        assert len(rules(prometheus)) == written_rules()
        for name in ("job_queue:levqor_queue_depth:max", "levqor_jobs_total", "levqor_p95_seconds", "levqor_availability_ratio"):
            eventually(lambda name=name: prometheus.query(f'{name}{{job="levqor"}}'), 20, what=name)  # type: ignore[misc]
        asked = [expression for expression in expressions("levqor") if not prometheus.query(expression)]
        assert [empty for empty in asked if not any(word in empty for word in MAY_BE_EMPTY)] == []
        assert "level=error" not in prometheus.output
    finally:
        prometheus.stop()


def errors(prometheus: Prometheus) -> dict[str, str]:
    """What the last scrape of each job came to; nothing where it has its figures."""
    targets = prometheus.ask("targets")["activeTargets"]
    return {target["labels"]["job"]: target["lastError"] or ("" if target["health"] == "up" else "not yet") for target in targets}


def rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]


def written_rules() -> int:
    files = [yaml.safe_load((RULES / name).read_text(encoding="utf-8")) for name in ("rules.yml", "alerts.yml")]
    return sum(len(group["rules"]) for file in files for group in file["groups"])
