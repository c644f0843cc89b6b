"""How `levqor up` ends with work in hand (design: Processes); more of it is in tests/integration/test_up_*.py."""

import os
import signal

import pytest
from tests.drills.stack import Stack
from tests.waiting import eventually

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_what_runs_is_finished_and_what_waits_is_kept_for_the_next_start(place: Stack, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole foreground group."""
    place.up()
    jobs = place.names(16)
    for job in jobs:
        place.submit_witness(job, 0.4)
    eventually(lambda: len(place.seen().starts) >= 4, 30, what="jobs at work")
    everyone = place.everyone()
    os.killpg(place.agent.pid, number)
    assert place.wait() == 0
    assert [identity for identity in [*everyone, *place.everyone()] if identity.is_alive()] == []
    tally = place.seen()
    begun = list(tally.starts)
    assert (tally.cut(begun), tally.lost(begun)) == ([], []), "what was begun was finished"
    assert len(begun) < len(jobs), "and no new job was taken for the sake of it"
    place.up()
    tally = place.finish(jobs)
    assert (tally.doubled(jobs), tally.cut(jobs)) == ([], [])
    place.end()
    assert place.tracebacks() == []
