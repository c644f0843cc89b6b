"""A command line without any setting of the machine's, and a fake service."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.fake_service import FakeService, decision, health, status

from levqor.cli import main
from levqor.settings import Settings


@dataclass(frozen=True)
class Ran:
    """How a verb ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [field.upper() for field in Settings.model_fields]
    for name in list(os.environ):
        if name.removeprefix("LEVQOR_").removesuffix("_FILE") in names:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def service() -> Iterator[FakeService]:
    paused = {"queue": "default", "owner": "ada", "why": "deploy", "paused_at": "?"}
    fake = FakeService(
        {
            ("GET", "/status"): (200, status()),
            ("GET", "/ops/queue_health"): (200, health()),
            ("GET", "/ops/holds"): (200, {"holds": [], "paused": [paused]}),
            ("GET", "/ops/autoscale/decisions"): (200, {"decisions": [decision()]}),
        }
    )
    yield fake
    fake.close()


Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a verb in this process."""

    def ran(*arguments: str) -> Ran:
        code = main(arguments)
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return ran
