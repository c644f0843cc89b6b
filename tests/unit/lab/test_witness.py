"""The witness outside of Levqor: what it writes down is enough to count lost, doubled and cut."""

import os
from pathlib import Path

import pytest

from levqor.handlers import resolve
from levqor.lab import witness
from levqor.lab.witness import HANDLERS, PassingFault, Poison, read_testimony
from levqor.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "witness"


def test_nothing_written_is_nothing_seen(file: Path) -> None:
    seen = read_testimony(file)
    assert (seen.cut, seen.lost(["a"]), seen.doubled(["a"])) == (0, 1, 0)


def test_a_run_leaves_its_beginning_its_end_and_its_process(file: Path) -> None:
    witness.work(str(file), "a")
    assert file.read_text(encoding="ascii") == f"began a {os.getpid()}\nended a {os.getpid()}\n"
    seen = read_testimony(file)
    assert (seen.lost(["a"]), seen.cut, seen.processes) == (0, 0, {"a": os.getpid()})


def test_a_cut_run_that_was_made_again_is_cut_and_neither_lost_nor_doubled(file: Path) -> None:
    file.write_text("began a 1\nbegan a 2\nended a 2\n", encoding="ascii")
    seen = read_testimony(file)
    assert (seen.cut, seen.lost(["a"]), seen.doubled(["a"])) == (1, 0, 0)


def test_two_ends_are_a_double(file: Path) -> None:
    file.write_text("began a 1\nended a 1\nbegan a 2\nended a 2\nbegan b 3\n", encoding="ascii")
    seen = read_testimony(file)
    assert (seen.doubled(["a", "b"]), seen.lost(["a", "b"]), seen.cut) == (1, 1, 1)
    assert seen.running_processes() == {3}


def test_a_frail_job_fails_while_the_fault_is_there(file: Path, tmp_path: Path) -> None:
    fault = tmp_path / "away"
    fault.touch()
    with pytest.raises(PassingFault):
        witness.frail(str(file), "a", str(fault))
    fault.unlink()
    witness.frail(str(file), "a", str(fault))
    seen = read_testimony(file)
    assert (seen.failed["a"], seen.ended["a"], seen.cut) == (1, 1, 0)


def test_poison_always_fails(file: Path) -> None:
    with pytest.raises(Poison):
        witness.poison(str(file), "a")
    assert read_testimony(file).lost(["a"]) == 1


def test_the_handlers_are_what_the_setting_expects() -> None:
    handlers = Settings.model_validate({"handlers": HANDLERS}).handlers
    assert set(handlers) == {"witnessed", "frail", "poison"}
    assert callable(resolve("sleep"))
    for path in handlers.values():
        module, _, name = path.partition(":")
        assert module == witness.__name__
        assert callable(getattr(witness, name))
