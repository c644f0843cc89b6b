"""`levqor dead`: what it sends, what it says, how it ends (spec L1, L2)."""

from typing import Any

import pytest
from tests.fake_service import FakeService
from tests.unit.cli.conftest import Run

REQUEUE = "POST /ops/dead/requeue"
PLAN = {"groups": [{"handler": "send", "error_class": "KeyError", "count": 4}], "chosen": 4, "waiting": 2, "quarantine": 1, "unseen": 0}
OUTCOME = {"moved": 4, "finished": 4, "died_again": 0, "quarantined": 1, "stopped_why": ""}
LETTER = {"job_id": "j-1", "queue": "default", "handler": "send", "error": "KeyError: [x]", "died_at": "2026-03-01T12:00:00Z", "flushes": 1}


@pytest.fixture(autouse=True)
def routes(service: FakeService) -> None:
    answer = {"batch_id": "b", "plan": PLAN, "done": True, "outcome": OUTCOME}
    service.routes |= {
        ("GET", "/ops/dead"): (200, {"dead": [LETTER], "total": 3, "next": 1, "groups": [], "unseen": 7}),
        ("GET", "/ops/dead/j-1"): (200, {**LETTER, "trace": "Traceback"}),
        ("GET", "/ops/dead/quarantined"): (200, {"quarantined": [], "total": 0, "next": None}),
        ("POST", "/ops/dead/requeue"): (200, answer),
        ("POST", "/ops/dead/drop"): (200, {"plan": PLAN, "dropped": 4}),
        ("POST", "/ops/dead/quarantined/release"): (200, {"chosen": 2, "released": 2}),
    }


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (("j-1", "j-2"), {"ids": ["j-1", "j-2"]}),
        (("--handler", "send"), {"handler": "send"}),
        (("--error", "KeyError", "--queue", "mail"), {"error": "KeyError", "queue": "mail"}),
        (("--handler", "send", "--error", "KeyError"), {"handler": "send", "error": "KeyError"}),
        (("--all", "--foreign"), {"all": True, "foreign": True}),
    ],
)
def test_a_selection_is_sent_as_it_was_typed(service: FakeService, run: Run, arguments: tuple[str, ...], body: dict[str, Any]) -> None:
    assert run("dead", "requeue", *arguments, "--yes", "--url", service.url).code == 0
    preview, act = (one.body for one in service.asked)
    assert preview == {**body, "at_once": False, "dry_run": True}
    assert act == {**body, "at_once": False, "wait_s": 60.0}


@pytest.mark.parametrize("verb", ["requeue", "drop"])
@pytest.mark.parametrize("arguments", [(), ("j-1", "--all"), ("--all", "--handler", "send"), ("--queue", "mail")])
def test_an_unclear_selection_sends_nothing(service: FakeService, run: Run, verb: str, arguments: tuple[str, ...]) -> None:
    """Nothing said is nothing meant."""
    assert run("dead", verb, *arguments, "--yes", "--url", service.url).code == 2
    assert service.asked == []


def test_a_count_is_shown_and_without_a_terminal_nothing_is_done(service: FakeService, run: Run) -> None:
    ran = run("dead", "requeue", "--all", "--url", service.url)
    assert ran.code == 2
    assert "4 x send (KeyError); 1 to be quarantined; 2 others stay" in ran.err
    assert [one.body["dry_run"] for one in service.asked] == [True]


@pytest.mark.parametrize("verb", ["requeue", "drop"])
def test_a_dry_run_only_looks(service: FakeService, run: Run, verb: str) -> None:
    ran = run("dead", verb, "--all", "--dry-run", "--url", service.url)
    assert (ran.code, ran.out.startswith("dry run, nothing was done: 4 x send")) == (0, True)
    assert run("dead", verb, "--all", "--dry-run", "--json", "--url", service.url).json["plan"]["chosen"] == 4
    assert all(one.body["dry_run"] for one in service.asked)


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ({"outcome": OUTCOME}, 0, "requeued 4: 4 finished, 0 died again; 1 quarantined"),
        ({"outcome": {**OUTCOME, "stopped_why": "the canary died again"}}, 1, "stopped: the canary died again"),
        ({"outcome": None, "done": False}, 0, "batch b is under way"),
    ],
)
def test_what_became_of_it_is_said(service: FakeService, run: Run, answer: dict[str, Any], code: int, said: str) -> None:
    service.routes["POST", "/ops/dead/requeue"] = (200, {"batch_id": "b", "plan": PLAN, **answer})
    ran = run("dead", "requeue", "--all", "--yes", "--url", service.url)
    assert ran.code == code
    assert said in ran.out


def test_nothing_to_do_asks_nothing(service: FakeService, run: Run) -> None:
    nothing = {**PLAN, "groups": [], "chosen": 0, "quarantine": 0}
    service.routes["POST", "/ops/dead/requeue"] = (200, {"batch_id": "b", "plan": nothing, "outcome": OUTCOME})
    ran = run("dead", "requeue", "--all", "--url", service.url)
    assert (ran.code, ran.out) == (0, "nothing to do: no dead letter; 2 others stay\n")


def test_a_second_flush_is_refused(service: FakeService, run: Run) -> None:
    service.routes["POST", "/ops/dead/requeue"] = (409, {"detail": "another flush is under way"})
    assert run("dead", "requeue", "--all", "--yes", "--url", service.url).code == 3


def test_looking(service: FakeService, run: Run) -> None:
    listed = run("dead", "list", "--url", service.url)
    assert "KeyError: [x]" in listed.out
    assert "--cursor 1" in listed.err
    assert run("dead", "list", "--group", "--url", service.url).out == "no dead letters\n"
    assert run("dead", "list", "--json", "--url", service.url).json["schema"] == 1
    shown = run("dead", "show", "j-1", "--url", service.url)
    assert shown.out.endswith("Traceback\n")
    assert run("dead", "quarantined", "--url", service.url).out == "nothing is quarantined\n"
    assert service.acts() == []


@pytest.mark.parametrize(
    ("arguments", "body"), [(("--release", "a", "--release", "b"), {"ids": ["a", "b"]}), (("--release-all",), {"all": True})]
)
def test_releasing(service: FakeService, run: Run, arguments: tuple[str, ...], body: dict[str, Any]) -> None:
    assert run("dead", "quarantined", *arguments, "--dry-run", "--url", service.url).code == 0
    assert run("dead", "quarantined", *arguments, "--url", service.url).code == 2
    assert run("dead", "quarantined", *arguments, "--yes", "--url", service.url).out == "released 2\n"
    assert service.asked[-1].body == body
    assert run("dead", "quarantined", "--release", "a", "--release-all", "--url", service.url).code == 2
