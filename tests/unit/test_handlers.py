"""Built-in handlers and how a handler's name becomes a function (spec E2)."""

import time
from collections.abc import Iterator
from contextvars import copy_context

import pytest

from levqor import handlers
from levqor.client import jobs


@pytest.fixture(autouse=True)
def _outside_of_a_job() -> Iterator[None]:
    yield
    jobs._current.set(None)


def _in_job(attempt: int = 1, **paths: str) -> None:
    jobs.enter(jobs.CurrentJob("j", attempt, paths))


def test_every_built_in_handler_is_found() -> None:
    assert set(handlers.BUILT_IN) == {"sleep", "cpu", "flaky", "fail"}
    for name in handlers.BUILT_IN:
        assert handlers.resolve(name) is getattr(handlers, name)


def test_a_handler_is_called_with_its_payload_and_its_result_is_dropped() -> None:
    _in_job(square="math:pow")
    with pytest.raises(TypeError):
        handlers.run("square", {"x": 1})
    _in_job(made="builtins:dict")
    assert handlers.run("made", {"a": 1}) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("name", ["nobody", "os:system", "os.system", "levqor.handlers:sleep", ""])
def test_a_job_cannot_name_an_import_path(name: str) -> None:
    """X4: only the worker's own list says what is run."""
    _in_job(mine="math:sqrt")
    with pytest.raises(handlers.UnknownHandler, match="no handler is registered"):
        handlers.resolve(name)


@pytest.mark.parametrize("path", ["math:nothing", "math:pi", "math"])
def test_a_path_that_is_no_function_is_told(path: str) -> None:
    _in_job(mine=path)
    with pytest.raises(handlers.UnknownHandler):
        handlers.resolve("mine")


def test_a_missing_module_is_told() -> None:
    _in_job(mine="no_such_module:f")
    with pytest.raises(ModuleNotFoundError):
        handlers.resolve("mine")


def test_an_installations_handler_may_take_a_built_in_name() -> None:
    _in_job(sleep="math:floor")
    assert handlers.resolve("sleep")(1.5) == 1


@pytest.mark.parametrize(("attempt", "fails"), [(1, True), (2, True), (3, False)])
def test_flaky_fails_on_its_first_attempts(attempt: int, fails: bool) -> None:
    _in_job(attempt)
    if fails:
        with pytest.raises(handlers.HandlerFailed):
            handlers.flaky(2)
    else:
        handlers.flaky(2)


def test_flaky_outside_of_a_job_has_no_attempt_to_fail() -> None:
    assert copy_context().run(jobs.current) is None
    handlers.flaky(2)


def test_fail_always_fails() -> None:
    with pytest.raises(handlers.HandlerFailed):
        handlers.fail()


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
@pytest.mark.parametrize("handler", [handlers.sleep, handlers.cpu])
def test_a_span_that_is_none_is_refused(handler: object, seconds: float) -> None:
    assert callable(handler)
    with pytest.raises(ValueError, match="seconds"):
        handler(seconds)


def test_cpu_uses_processor_time_and_sleep_does_not() -> None:
    before = time.process_time()
    handlers.cpu(0.02)
    computed = time.process_time() - before
    assert computed >= 0.02
    handlers.sleep(0)
