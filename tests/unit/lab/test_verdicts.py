"""A drill's verdict: each promise kept or broken, nothing unseen counted as well."""

import pytest

from levqor.lab.verdicts import Jobs, Promise, Verdict, exactly, no_job_doubled, no_job_lost, nothing_of, page, within

KEPT, BROKEN = Promise("it holds", True), Promise("it does not", False, "3 of 4")


def verdict(*promises: Promise, detect_s: float | None = None, recover_s: float | None = None) -> Verdict:
    return Verdict("killworker", "kill -9", 12.34, promises, Jobs(16, 0, 0, 6), detect_s, recover_s)


@pytest.mark.parametrize(("promises", "is_kept"), [((KEPT,), True), ((KEPT, BROKEN), False), ((BROKEN,), False), ((), False)])
def test_a_drill_is_kept_when_it_promised_something_and_all_of_it_held(promises: tuple[Promise, ...], is_kept: bool) -> None:
    assert verdict(*promises).is_kept is is_kept


@pytest.mark.parametrize(
    ("jobs", "is_kept"), [(Jobs(16), True), (Jobs(16, lost=1), False), (Jobs(0), False)], ids=["all done", "one lost", "none accepted"]
)
def test_a_drill_without_a_job_proves_nothing_about_jobs(jobs: Jobs, is_kept: bool) -> None:
    assert no_job_lost(jobs).is_kept is is_kept


def test_a_job_that_finished_twice_breaks_its_promise() -> None:
    assert no_job_doubled(Jobs(2)).is_kept
    assert not no_job_doubled(Jobs(2, doubled=1)).is_kept


@pytest.mark.parametrize(("seconds", "is_kept"), [(15.0, True), (15.1, False), (None, False), (0.0, True)])
def test_a_time_that_was_never_seen_is_not_within_its_limit(seconds: float | None, is_kept: bool) -> None:
    assert within("it is back", seconds, 15.0).is_kept is is_kept


def test_counts_and_absences() -> None:
    assert exactly("one incident", 1, 1).is_kept
    assert not exactly("one incident", 2, 1).is_kept
    assert nothing_of("no alert", []).is_kept
    assert nothing_of("no alert", ["a", "b"]).found == "a; b"


def test_people_read_each_promise_in_a_line() -> None:
    lines = verdict(KEPT, BROKEN, detect_s=0.61).lines()
    assert lines[0] == "drill killworker: BROKEN in 12 s. The fault: kill -9"
    assert lines[1] == "  time to detect 0.6 s, time to recover -"
    assert lines[-2:] == ["  kept    it holds", "  BROKEN  it does not (3 of 4)"]


def test_programs_read_what_was_not_seen_as_null() -> None:
    answer = verdict(KEPT, recover_s=1.236).as_dict()
    assert (answer["time_to_detect_s"], answer["time_to_recover_s"], answer["lost"], answer["cut"]) == (None, 1.24, 0, 6)
    assert answer["promises"] == [{"promise": "it holds", "kept": True, "found": ""}]


def test_the_page_names_what_is_broken_first() -> None:
    text = page([verdict(KEPT), verdict(BROKEN)], "2026-11-22 17:00 UTC")
    assert text.startswith("# Drills\n\nRun at 2026-11-22 17:00 UTC. Broken: killworker.\n")
    assert "| killworker | - | - | 0 | 0 | 6 | 0 | 0 | **broken** |" in text
    assert "Every promise was kept." in page([verdict(KEPT)], "now")
