"""What was acknowledged is there after SIGKILL (spec R5), with a real web process under load."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import httpx
from sqlalchemy import select
from tests.conftest import Valkey, free_port
from tests.waiting import eventually

from levqor.settings import Settings
from levqor.store.database import Database, database_url
from levqor.store.schema import event_ids, users

BATCH = 500
SENDERS = 3


def test_an_acknowledged_batch_outlives_a_kill_and_no_batch_is_halved(valkey: Valkey, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    data.mkdir()
    database = Database(database_url(None, data))
    database.migrate()
    names = {field.upper() for field in Settings.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.removeprefix("LEVQOR_").removesuffix("_FILE") not in names}
    environment = {**inherited, "LEVQOR_DATA": str(data), "LEVQOR_LOGS": str(tmp_path), "REDIS_URL": valkey.url, "LEVQOR_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "levqor.cli", "web", "--no-autopilot"], env=environment, cwd=tmp_path)
    url = f"http://127.0.0.1:{port}"
    acknowledged: set[str] = set()

    def alive() -> bool:
        try:
            return httpx.get(f"{url}/livez").is_success
        except httpx.TransportError:
            return False

    def send(sender: int) -> None:
        number = 0
        with httpx.Client(base_url=url, timeout=20) as client:
            while True:
                # Each batch brings people of its own, so that the users tell which batches are there.
                name = f"{sender}-{number}"
                events = [{"id": f"{name}-{i}", "user_id": f"{name}-{i}", "ts": "2026-01-01T00:00:00Z"} for i in range(BATCH)]
                try:
                    answer = client.post(
                        "/api/v1/events", content=json.dumps({"events": events}), headers={"Content-Type": "application/json"}
                    )
                except httpx.TransportError:
                    return
                if answer.is_success and answer.json()["accepted"] == BATCH:
                    acknowledged.add(name)
                number += 1

    try:
        eventually(alive, 30, what="the web process")
        threads = [threading.Thread(target=send, args=(sender,), daemon=True) for sender in range(SENDERS)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(acknowledged) >= 6, 30, every_s=0.005, what="six acknowledged batches")
        process.send_signal(signal.SIGKILL)
        for thread in threads:
            thread.join(20)
    finally:
        process.kill()
        process.wait(10)
    with closing(database), database.read() as connection:
        found = [str(name) for name in connection.execute(select(users.c.external_id)).scalars()]
        ids = len(connection.execute(select(event_ids.c.hash)).all())
    there = {name.rpartition("-")[0] for name in found}
    assert acknowledged <= there
    assert len(there - acknowledged) <= SENDERS  # committed, and killed before the answer
    assert len(found) == ids == BATCH * len(there)
