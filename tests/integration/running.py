"""A real `levqor up` or `levqor agent` in a scratch folder, and what it leaves behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis
from tests.conftest import free_port
from tests.waiting import eventually

from levqor.agent.journal import Journal
from levqor.agent.premises import agent_id
from levqor.agent.process import family, marked
from levqor.host import ProcessIdentity

READY_WITHIN_S = 30.0
END_WITHIN_S = 30.0


class Installation:
    """One folder in which the command runs, dies and runs again."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port = free_port()
        # The calendar would begin work of its own in the midst of a test.
        self.environment = {"SCHEDULE_OFF": "*", **environment}
        self.process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(encoding="utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begin `levqor` with these arguments, in a session of its own."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LEVQOR_")}
        with (self.folder / "output").open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "levqor.cli", *arguments],
                cwd=self.folder,
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self.process

    def up(self, *arguments: str) -> "Installation":
        """Begin `levqor up` and wait until it says that it is ready."""
        process = self.start("up", "--port", str(self.port), "--data", str(self.data), *arguments)
        eventually(lambda: "is ready at" in self.output or process.poll() is not None, READY_WITHIN_S, what="the ready line")
        assert process.poll() is None, self.output
        return self

    def refused(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of a start that is expected to end by itself."""
        return self.start(*arguments).wait(READY_WITHIN_S), self.output

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait(END_WITHIN_S)

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait()

    def insist(self, number: signal.Signals) -> int:
        """Send the signal again and again until the command ends; signals close together count as one."""
        process = self.process
        assert process is not None

        def ended() -> bool:
            process.send_signal(number)
            return process.poll() is not None

        eventually(ended, END_WITHIN_S, every_s=0.5, what="the end")
        return process.wait()

    def has_begun(self) -> bool:
        """Does the present command hold the folder, so that it heeds signals?"""
        assert self.process is not None
        return (self.data / "levqor.lock").read_text(encoding="ascii") == f"{self.process.pid}\n"

    @property
    def log(self) -> str:
        return (self.folder / "logs" / "agent.log").read_text(encoding="utf-8")

    def children(self, role: str) -> dict[str, ProcessIdentity]:
        """By name, as the agent's own record has them."""
        record = Journal(self.data / "agent.json").read()
        return {entry.name: entry.identity for entry in record.children if entry.role == role and entry.identity.is_alive()}

    def left(self) -> list[str]:
        """Marks of processes that some agent of this folder began and that live."""
        return [mark for _, mark in self._heads()]

    def _heads(self) -> list[tuple[ProcessIdentity, str]]:
        """A store server writes its title over its environment, mark included: it is known by the folder it works in."""
        stores = [identity for pid in psutil.pids() if _folder_of(pid) == self.data / "store" and (identity := ProcessIdentity.of(pid))]
        return [*marked(f"{agent_id(self.data)}/"), *((identity, "store") for identity in stores)]

    def get(self, path: str) -> dict[str, Any]:
        return self._ask("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._ask("POST", path, headers=self._token(), json=body)

    def admin(self, path: str) -> dict[str, Any]:
        """What only the admin may read."""
        return self._ask("GET", path, headers=self._token())

    def set_flag(self, name: str, value: bool | int) -> None:
        answer = self._ask("PUT", f"/ops/flags/{name}", headers=self._token(), json={"value": value})
        assert "http_status" not in answer, answer

    def _token(self) -> dict[str, str]:
        return {"X-ADMIN-TOKEN": (self.data / "admin_token").read_text(encoding="ascii").strip()}

    def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = httpx.request(method, self.url + path, timeout=60, **more)
        except httpx.TransportError as error:
            return {"unreachable": type(error).__name__}
        body: dict[str, Any] = answer.json()
        return body if answer.is_success else {"http_status": answer.status_code, "body": body}

    def submit(self, handler: str, **payload: Any) -> str:
        answer = self.post("/api/v1/intake", {"handler": handler, "payload": payload})
        assert "job_id" in answer, answer
        return str(answer["job_id"])

    def status_of(self, job_id: str) -> str:
        return str(self.get(f"/api/v1/status/{job_id}").get("status"))

    def scale(self, count: int) -> None:
        answer = self.post("/ops/scale", {"count": count, "why": "a test"})
        assert "http_status" not in answer, answer

    def busy_workers(self) -> list[dict[str, Any]]:
        return [worker for worker in self.get("/ops/queue_health").get("workers", []) if worker["job_id"]]

    def store(self) -> redis.Redis:
        store = self.data / "store"
        port, password = ((store / name).read_text(encoding="ascii") for name in ("port", "password"))
        return redis.Redis(port=int(port), password=password, socket_timeout=1)

    def clean_up(self) -> None:
        """Whatever a failed test left."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

        def gone() -> bool:
            heads = self._heads()
            for head, mark in heads:
                for member in [*family(mark, head), head]:
                    if member.is_alive():
                        os.kill(member.pid, signal.SIGKILL)
            return not heads

        eventually(gone, what="the end of leftovers")


def _folder_of(pid: int) -> Path | None:
    try:
        return Path(psutil.Process(pid).cwd())
    except (psutil.Error, OSError):
        return None
