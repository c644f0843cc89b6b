"""The sample app: a fault that is switched on, seen in its answers, and gone with a reload unless it is stuck."""

import os
from pathlib import Path

import httpx
import pytest

from levqor.lab import sample_app
from levqor.lab.sample_app import Fault, create


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> httpx.ASGITransport:
    """Reports nowhere."""
    monkeypatch.delenv("LEVQOR_REDIS_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)
    return httpx.ASGITransport(create(tmp_path / "app.pid"))


async def ask(transport: httpx.ASGITransport, share: float) -> list[int]:
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        assert (await client.post("/fault", json={"error_share": share})).status_code == 200
        assert (await client.get("/readyz")).json() == {"ok": True}
        return [(await client.get("/work")).status_code for _ in range(3)]


@pytest.mark.parametrize(("share", "statuses"), [(0.0, [200] * 3), (1.0, [500] * 3)])
def test_the_fault_shows_in_the_answers(app: httpx.ASGITransport, share: float, statuses: list[int]) -> None:
    import asyncio

    assert asyncio.run(ask(app, share)) == statuses


@pytest.mark.parametrize(("is_stuck", "share"), [(False, 0.0), (True, 0.2)])
def test_a_reload_heals_what_is_not_stuck(is_stuck: bool, share: float) -> None:
    fault = Fault(error_share=0.2, extra_ms=300.0, is_stuck=is_stuck)
    fault.reload()
    assert fault.error_share == share


def test_the_reload_command_signals_the_serving_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    signalled: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _number: signalled.append(pid))
    (tmp_path / "app.pid").write_text("4711", encoding="ascii")
    assert sample_app.main(["--reload", str(tmp_path / "app.pid")]) == 0
    assert signalled == [4711]
