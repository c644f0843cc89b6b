"""A worker process that behaves as its test says: `standin_worker.py FOLDER NAME`. It is a program, not a test."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path


def main() -> int:
    folder, name = Path(sys.argv[1]), sys.argv[2]
    behaviour = (folder / "behaviour").read_text(encoding="ascii") if (folder / "behaviour").exists() else ""
    if behaviour == "die":
        return 3
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    if behaviour == "mute":
        return _stay(asked)
    while not asked.is_set():
        job = _take(folder, name)
        _register(folder, name, job)
        if job is not None:
            _work(folder, job)
        asked.wait(0.02)
    (folder / f"{name}.worker").unlink()
    return 0


def _stay(asked: threading.Event) -> int:
    asked.wait()
    return 0


def _register(folder: Path, name: str, job: str | None) -> None:
    scratch = folder / f".{name}"
    scratch.write_text(json.dumps({"pid": os.getpid(), "job": job}), encoding="ascii")
    scratch.rename(folder / f"{name}.worker")


def _take(folder: Path, name: str) -> str | None:
    for path in sorted((folder / "queue").iterdir()):
        try:
            path.rename(folder / "running" / f"{path.name}.{name}")
        except FileNotFoundError:
            continue
        return path.name
    return None


def _work(folder: Path, job: str) -> None:
    """Until the job's gate is opened; a job named `hard` begins a process in a session of its own, as a job may."""
    if job.startswith("hard"):
        child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
        (folder / f"{job}.child").write_text(str(child.pid), encoding="ascii")
    pause = threading.Event()
    while not (folder / "gates" / job).exists():
        pause.wait(0.02)
    with (folder / "done").open("a", encoding="ascii") as done:
        done.write(f"{job}\n")


if __name__ == "__main__":
    sys.exit(main())
