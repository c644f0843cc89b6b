"""`levqor replay`: real requests at their time, and a report that hides nothing (the service is a fake that a test may break)."""

import asyncio
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.fake_service import Answer, Asked, FakeService, decision, health, signal, status

from levqor.cli import main
from levqor.domain.errors import DependencyDown, UsageError
from levqor.host import SystemClock
from levqor.lab.recording import Sample
from levqor.lab.replay import Listeners, Player, Target
from levqor.lab.report import summarise
from levqor.lab.traces import Arrival

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC).isoformat()


class Jobs:
    """Intake and job status; every job succeeds at once unless told otherwise."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.bodies: list[dict[str, Any]] = []
        self.refuse: dict[int, int] = {}
        self.ends: dict[int, dict[str, Any] | None] = {}
        self.statuses = 0
        self.step_at: float = float("inf")

    def intake(self, asked: Asked) -> Answer:
        with self.lock:
            number = len(self.bodies)
            self.bodies.append({**asked.body, "key": asked.headers.get("x-api-key")})
        if number in self.refuse:
            return self.refuse[number], {"detail": "no"}
        return 202, {"job_id": f"job-{number}", "status": "queued"}

    def status(self, asked: Asked) -> Answer:
        number = int(asked.path.rpartition("-")[2])
        end = self.ends.get(number, {})
        if end is None:
            return 404, {"detail": "no such job"}
        times = {"enqueued_at": AT, "started_at": AT, "ended_at": AT}
        return 200, {"job_id": f"job-{number}", "status": "succeeded", "attempts": 1, "losses": 0, "error": None, **times, **end}

    def service_status(self, _: Asked) -> Answer:
        self.statuses += 1
        target = 2 if self.statuses > self.step_at else 1
        signals = {"queue_depth": signal(3), "oldest_wait_s": signal(1.5)}
        return 200, status(target=target, running=1, signals=signals, mode="act")


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def service(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeService]:
    monkeypatch.chdir(tmp_path)
    fake = FakeService(
        {
            ("POST", "/api/v1/intake"): jobs.intake,
            ("GET", "/api/v1/status/*"): jobs.status,
            ("GET", "/status"): jobs.service_status,
            ("GET", "/ops/queue_health"): (200, health(depth=0, running=0)),
            ("GET", "/ops/autoscale/decisions"): (200, {"decisions": []}),
        }
    )
    yield fake
    fake.close()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "steady.csv"
    path.write_text("seconds,count\n" + "".join(f"{at},20\n" for at in range(0, 60, 5)), encoding="utf-8")
    return path


def replay(service: FakeService, trace: Path, *more: str) -> int:
    return main(["replay", str(trace), "--speed", "60", "--url", service.url, "--json", *more])


def test_every_arrival_is_a_real_request(service: FakeService, jobs: Jobs, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(service, trace, "--seed", "3", "--queue", "mail") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == 1
    assert report["requests"] == report["accepted"] == report["succeeded"] == len(jobs.bodies) > 150
    assert (report["lost"], report["doubled"], report["cut"], report["refused"]) == (0, 0, 0, {})
    assert jobs.bodies[0]["handler"] == "sleep"
    assert jobs.bodies[0]["queue"] == "mail"
    assert jobs.bodies[0]["payload"]["seconds"] > 0


@pytest.mark.parametrize(
    ("end", "figure", "code"),
    [
        pytest.param(None, "lost", 1, id="not known any more"),
        pytest.param({"attempts": 2}, "doubled", 1, id="ran twice"),
        pytest.param({"losses": 1}, "cut", 1, id="lost its worker"),
        pytest.param({"status": "running", "ended_at": None}, "unended", 4, id="never ends"),
        pytest.param({"status": "dead"}, "dead", 0, id="died by its own fault"),
    ],
)
def test_a_job_that_goes_wrong_is_reported(
    service: FakeService, jobs: Jobs, trace: Path, capsys: pytest.CaptureFixture[str], end: dict[str, Any] | None, figure: str, code: int
) -> None:
    jobs.ends[5] = end
    assert replay(service, trace, "--scale", "0.1", "--patience", "1s") == code
    assert json.loads(capsys.readouterr().out)[figure] == 1


def test_refused_requests_are_counted_by_status(service: FakeService, jobs: Jobs, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.refuse = {1: 429, 2: 429, 3: 503}
    assert replay(service, trace, "--scale", "0.1") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["refused"] == {"429": 2, "503": 1}
    assert report["accepted"] == report["requests"] - 3


def test_when_nothing_is_accepted_the_replay_has_failed(service: FakeService, trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.routes["POST", "/api/v1/intake"] = (401, {"detail": "key"})
    assert replay(service, trace, "--scale", "0.1") == 1
    assert list(json.loads(capsys.readouterr().out)["refused"]) == ["401"]


def test_the_report_shows_steps_with_their_reason(service: FakeService, jobs: Jobs, trace: Path, tmp_path: Path) -> None:
    jobs.step_at = 2
    reasons = [{"code": "depth_high", "text": "depth 14 > 10", "votes": True}]
    late = SystemClock().now().isoformat()
    row = decision("scale_up", 1, 2, applied=True, reasons=reasons, at=late)
    service.routes["GET", "/ops/autoscale/decisions"] = (200, {"decisions": [row]})
    page = tmp_path / "report.html"
    assert replay(service, trace, "--scale", "0.1", "--linger", "3s", "--report", str(page)) == 0
    assert "<td>1 → 2</td><td>depth 14 &gt; 10</td>" in page.read_text(encoding="utf-8")


def test_words_go_to_standard_error_and_figures_to_standard_output(
    service: FakeService, trace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(trace), "--speed", "60", "--scale", "0.1", "--url", service.url]) == 0
    printed = capsys.readouterr()
    assert "playing" in printed.err
    assert "wait: worst 0.0 s" in printed.out
    assert "playing" not in printed.out


def test_the_key_that_may_post_jobs_is_sent(service: FakeService, jobs: Jobs, trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEYS", "key-one,key-two")
    assert replay(service, trace, "--scale", "0.05") == 0
    assert {body["key"] for body in jobs.bodies} == {"key-one"}


@pytest.mark.parametrize(
    "more",
    [
        ("--scale", "1", "--peak-rate", "1"),
        ("--handler", "rm"),
        ("--report", "/no/such/folder/r.html"),
        ("--scale", "100000"),
        ("--from", "99999"),
        ("--patience", "soon"),
    ],
)
def test_what_cannot_be_played_is_usage_and_sends_nothing(service: FakeService, jobs: Jobs, trace: Path, more: tuple[str, ...]) -> None:
    assert replay(service, trace, *more) == 2
    assert jobs.bodies == []


def test_nobody_there_is_69(trace: Path) -> None:
    assert main(["replay", str(trace), "--url", "http://127.0.0.1:1"]) == 69


def play(service: FakeService, arrivals: list[Arrival], **more: Any) -> Any:
    heard: list[Sample] = []
    player = Player(Target(service.url, **more), SystemClock(), Listeners(sampled=heard.append))
    return asyncio.run(player.play("t", arrivals)), heard


def test_a_failed_look_is_a_gap_and_stops_nothing(service: FakeService, jobs: Jobs) -> None:
    answers = iter([(200, status(target=1, running=1)), (500, {"detail": "down"})])

    def once(_: Asked) -> Answer:
        return next(answers, (200, status(target=1, running=1)))

    service.routes["GET", "/status"] = once
    recording, heard = play(service, [Arrival(0, 1), Arrival(1.5, 1)])
    assert heard[0] == recording.samples[0]
    assert (heard[0].target, heard[0].depth) == (None, None)
    assert heard[1].target == 1
    assert summarise(recording).accepted == 2


def test_decisions_for_the_admin_alone_are_left_out(service: FakeService) -> None:
    service.routes["GET", "/ops/autoscale/decisions"] = (401, {"detail": "token"})
    recording, _ = play(service, [Arrival(0, 1)])
    assert recording.has_decisions is False


def test_a_slow_service_makes_requests_late_and_the_report_says_so(service: FakeService, jobs: Jobs) -> None:
    """An open loop: arrivals do not wait for answers; beyond the bound on requests under way they leave late."""
    gate = threading.Event()

    def slow(asked: Asked) -> Answer:
        gate.wait(0.4)
        return jobs.intake(asked)

    service.routes["POST", "/api/v1/intake"] = slow
    recording, _ = play(service, [Arrival(0, 1)] * 130)
    assert len(recording.posted) == 130
    assert summarise(recording).late_worst_s > 0.3


def test_lingering_ends_when_it_is_over(service: FakeService, jobs: Jobs) -> None:
    jobs.step_at = 2
    recording, _ = play(service, [Arrival(0, 1)], linger_s=50, is_over=lambda sample: sample.target == 2)
    assert recording.samples[-1].target == 2
    assert recording.samples[-1].at_s < 50


def test_a_service_that_is_no_service_is_told(service: FakeService) -> None:
    service.routes["GET", "/status"] = (500, {})
    with pytest.raises(DependencyDown):
        play(service, [Arrival(0, 1)])
    with pytest.raises(UsageError):
        Player(Target(service.url, handler="rm"), SystemClock())
