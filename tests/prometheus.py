"""A real Prometheus of our own, and its `promtool`: Debian's package `prometheus` has both."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.waiting import eventually

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "ops" / "prometheus"


def program(name: str) -> str:
    """Its path. Locally a suite without it says so; in CI it is an error."""
    found = shutil.which(name)
    if found is None:
        why = f"no {name} found: install the package prometheus"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


def promtool(*arguments: str, folder: Path = RULES) -> subprocess.CompletedProcess[str]:
    """What it answers, in the folder of the rules."""
    return subprocess.run([program("promtool"), *arguments], cwd=folder, capture_output=True, text=True, timeout=50, check=False)


class Prometheus:
    """One server on loopback, with its data in a scratch folder."""

    def __init__(self, folder: Path, config: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._output = folder / "prometheus.log"
        options = {
            "--config.file": config,
            "--storage.tsdb.path": folder / "tsdb",
            "--web.listen-address": f"127.0.0.1:{port}",
            "--log.level": "warn",
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [program("prometheus"), *(f"{name}={value}" for name, value in options.items())],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={"PATH": os.environ["PATH"]},
            )

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8")

    def is_ready(self) -> bool:
        assert self._process.poll() is None, self.output
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait(self) -> None:
        eventually(self.is_ready, 20, what="Prometheus")

    def ask(self, path: str, **parameters: str) -> dict[str, Any]:
        """The `data` of an answer; an error of Prometheus' fails the test with its words."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=20)
        document: dict[str, Any] = answer.json()
        assert document["status"] == "success", (parameters, document)
        data: dict[str, Any] = document["data"]
        return data

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples of an instant query."""
        result: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return result

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
