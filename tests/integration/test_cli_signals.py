"""Ctrl-C and SIGTERM: 130 without a traceback, and nothing that was started is left (spec L1)."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.fake_service import FakeService, health, status
from tests.waiting import eventually


@pytest.fixture
def service() -> Iterator[FakeService]:
    fake = FakeService(
        {
            ("GET", "/status"): (200, status()),
            ("GET", "/ops/queue_health"): (200, health()),
            ("GET", "/ops/autoscale/decisions"): (200, {"decisions": []}),
            ("POST", "/api/v1/intake"): (202, {"job_id": "j", "status": "queued"}),
        }
    )
    yield fake
    fake.close()


Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def levqor(tmp_path: Path) -> Iterator[Start]:
    """Starts a verb; a failed test leaves none behind."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "levqor.cli", *arguments]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=50)


@pytest.mark.parametrize(
    "arguments", [("status", "--watch", "--every", "0.2"), ("status", "--watch", "--json"), ("replay", "tweets_crm", "--speed", "60")]
)
def test_ctrl_c_is_130_and_no_traceback(service: FakeService, levqor: Start, arguments: tuple[str, ...]) -> None:
    process = levqor(*arguments, "--url", service.url)
    eventually(lambda: len(service.asked) > 4, within_s=20, what="the verb at work")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_ended_ends_what_it_started(levqor: Start, number: signal.Signals, code: int) -> None:
    process = levqor("demo")
    demo = psutil.Process(process.pid)
    assert process.stderr is not None
    said = ""
    while "jobs will come" not in said and process.poll() is None:
        said += process.stderr.readline()
    started = demo.children(recursive=True)
    assert len(started) >= 3, said
    process.send_signal(number)
    _, rest = process.communicate(timeout=50)
    assert process.returncode == code
    assert "Traceback" not in said + rest
    assert not [child for child in started if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
