"""The worker's command line, and what its process does not load."""

import subprocess
import sys

import pytest
from tests.clock import ManualClock

from levqor.client import rq as worker
from levqor.engines.rq import RqEngine


def test_a_worker_without_a_broker_is_told_which_variable_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("LEVQOR_REDIS_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        worker.main([])
    assert ended.value.code == 2
    assert "set LEVQOR_REDIS_URL" in capsys.readouterr().err


def test_the_command_holds_no_url() -> None:
    """X2: the URL holds a password."""
    engine = RqEngine("redis://:secret@127.0.0.1:1/0", clock=ManualClock(), handlers={"a": "b:c", "d": "e.f:g"})
    command = engine.worker_command("w1", ["high", "low"])
    assert command[:3] == [sys.executable, "-m", "levqor.client.rq"]
    assert command[3:] == ["--url-env", "LEVQOR_REDIS_URL", "--name", "w1", "--queues", "high,low", "--handlers", "a=b:c,d=e.f:g"]
    engine.close()


def test_a_worker_loads_nothing_of_the_control_plane() -> None:
    """A new worker takes its first job soon, and takes little memory."""
    heavy = ("fastapi", "starlette", "sqlalchemy", "pydantic", "rich", "typer", "structlog", "httpx", "psutil", "levqor.settings")
    code = f"import sys, levqor.client.rq, levqor.handlers; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
