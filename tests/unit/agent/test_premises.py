"""Folders, lock, socket, secrets and the record of children."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from tests.conftest import free_port

from levqor.agent.journal import Journal, Record
from levqor.agent.premises import Lock, agent_id, claim_folder, listen, local_secret
from levqor.agent.process import Child
from levqor.domain.errors import UsageError
from levqor.host import ProcessIdentity


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_missing_folder_is_made_private(tmp_path: Path) -> None:
    claim_folder(tmp_path / "a" / "data", 0o700)
    assert mode(tmp_path / "a" / "data") == 0o700


def test_a_folder_below_a_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="ascii")
    with pytest.raises(UsageError, match="file/data"):
        claim_folder(tmp_path / "file" / "data")


def test_a_second_instance_is_told_which_process_holds_the_folder(tmp_path: Path) -> None:
    with Lock(tmp_path / "lock"), pytest.raises(UsageError, match=f"process {os.getpid()}"), Lock(tmp_path / "lock"):
        pass


def test_a_lock_that_was_left_is_free_again(tmp_path: Path) -> None:
    for _ in range(2):
        with Lock(tmp_path / "lock"):
            assert (tmp_path / "lock").read_text(encoding="ascii") == f"{os.getpid()}\n"


def test_a_busy_port_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            listen("127.0.0.1", port)


def test_the_socket_listens_and_is_not_inherited_unless_handed_over() -> None:
    port = free_port()
    with listen("127.0.0.1", port) as listener, socket.create_connection(("127.0.0.1", port)):
        assert not listener.get_inheritable()


def test_a_host_that_is_no_address_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no\.such\.host\.invalid"):
        listen("no.such.host.invalid", 1)


def test_a_secret_is_made_once_and_readable_by_us_alone(tmp_path: Path) -> None:
    """Spec X0: file mode 600."""
    path = tmp_path / "admin_token"
    assert local_secret(path)
    made = path.read_text(encoding="ascii")
    assert len(made.strip()) >= 43
    assert mode(path) == 0o600
    path.chmod(0o644)
    assert not local_secret(path)
    assert (path.read_text(encoding="ascii"), mode(path)) == (made, 0o600)


def test_an_agent_id_belongs_to_its_folder(tmp_path: Path) -> None:
    assert agent_id(tmp_path) == agent_id(tmp_path)
    assert agent_id(tmp_path) != agent_id(tmp_path / "other")


def test_a_record_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "agent.json")
    child = Child("worker", "w1", ProcessIdentity.current(), "mark")
    journal.write(3, [child], frozenset({"w1"}))
    record = Journal(tmp_path / "agent.json").read()
    assert record.target == 3
    assert [(entry.role, entry.name, entry.identity, entry.mark, entry.is_draining) for entry in record.children] == [
        ("worker", "w1", ProcessIdentity.current(), "mark", True)
    ]
    assert mode(tmp_path / "agent.json") == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"target": "x", "children": []}',
        '{"target": -1, "children": []}',
        '{"target": 1, "children": [{"role": "w"}]}',
    ],
)
def test_a_broken_record_is_set_aside_and_stops_nothing(tmp_path: Path, content: str) -> None:
    """Spec P4: a half-written file is no reason not to start."""
    path = tmp_path / "agent.json"
    path.write_text(content, encoding="utf-8")
    assert Journal(path).read() == Record()
    assert not path.exists()
    assert (tmp_path / "agent.json.broken").read_text(encoding="utf-8") == content


def test_nothing_is_written_when_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    journal = Journal(path)
    journal.write(1, [])
    path.write_text("{}", encoding="ascii")
    journal.write(1, [])
    assert path.read_text(encoding="ascii") == "{}"
    journal.write(2, [])
    assert json.loads(path.read_text(encoding="ascii"))["target"] == 2
