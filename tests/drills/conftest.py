"""Stacks for the drills: each ends, and each is searched for what must never be in a log."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.drills.stack import Stack

Begin = Callable[..., Stack]


@contextmanager
def begun(folder: Path, *words: str, **environment: str) -> Iterator[Stack]:
    """A stack that is up; afterwards it must end cleanly, leave nobody, and have logged no traceback."""
    stack = Stack(folder, **environment)
    try:
        yield stack.up(*words)
        stack.end()
        assert stack.tracebacks() == []
    finally:
        stack.clean_up()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Stack]:
    """A stack that is not begun yet, for a test that ends it by itself."""
    stack = Stack(tmp_path / "place")
    yield stack
    stack.clean_up()


@pytest.fixture
def stack(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running stack of this test's own; its settings come from `@pytest.mark.parametrize("stack", [...], indirect=True)`."""
    with begun(tmp_path / "stack", **getattr(request, "param", {})) as stack:
        yield stack
