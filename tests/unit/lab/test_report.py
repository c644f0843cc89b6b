"""The figures of a replay, and its page."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from tests.unit.lab.sample_recording import START, recording, step

from levqor.lab.page import render_page, verdict
from levqor.lab.recording import JobEnd, Posted, Recording, Sample
from levqor.lab.report import GAP_S, quantile, summarise, worker_hours


def test_a_clean_replay_is_summed_up() -> None:
    report = summarise(recording())
    assert (report.requests, report.accepted, report.succeeded, report.lost, report.doubled, report.cut) == (140, 140, 140, 0, 0, 0)
    assert (report.wait.p50_s, report.wait.p95_s, report.wait.worst_s) == (3.45, 6.6, 6.95)
    assert (report.target_first, report.target_highest, report.target_last) == (1, 3, 1)
    assert report.is_clean


def test_each_step_carries_the_reason_of_its_decision() -> None:
    steps = summarise(recording()).steps
    assert [(one["from"], one["to"], one["why"].partition(" ")[0]) for one in steps] == [
        (1, 2, "depth"),
        (2, 3, "depth"),
        (3, 2, "calm"),
        (2, 1, "calm"),
    ]


def test_a_step_that_was_not_applied_explains_nothing() -> None:
    made = recording()
    made.decisions = [step(1, 19.6, "scale_up", 1, 2, "depth 14 > 10", applied=False)]
    assert summarise(made).steps[0]["why"] == "no decision was read for it"


@pytest.mark.parametrize(
    ("job", "figure"),
    [
        pytest.param(JobEnd("job-3", "unknown"), "lost", id="the service does not know it"),
        pytest.param(JobEnd("job-3", "running", 1, 0), "unended", id="it had not ended"),
        pytest.param(JobEnd("job-3", "unanswered"), "unended", id="nobody answered"),
        pytest.param(JobEnd("job-3", "succeeded", 2, 0), "doubled", id="it ran twice"),
        pytest.param(JobEnd("job-3", "succeeded", 1, 1), "cut", id="it lost its worker"),
        pytest.param(JobEnd("job-3", "dead", 3, 0), "dead", id="it died"),
    ],
)
def test_a_job_that_went_wrong_is_counted(job: JobEnd, figure: str) -> None:
    made = recording()
    made.jobs["job-3"] = job
    report = summarise(made)
    assert getattr(report, figure) == 1
    assert report.is_clean == (figure == "dead") or job.status == "dead"


def test_what_the_service_does_not_tell_is_unknown() -> None:
    """Unknown is never zero."""
    made = recording()
    made.jobs = {job_id: replace(job, losses=None) for job_id, job in made.jobs.items()}
    assert summarise(made).cut is None
    assert summarise(replace_handler(made, "flaky")).doubled is None
    assert "unknown cut" in verdict(summarise(made))


def replace_handler(made: Recording, handler: str) -> Recording:
    return replace(made, handler=handler)


def test_refusals_are_counted_by_their_status() -> None:
    made = recording()
    made.posted += [Posted(50, 0, 429), Posted(50, 0, 429), Posted(50, 0, 503), Posted(50, 0, None, None, "ConnectError")]
    report = summarise(made)
    assert report.refused == {"429": 2, "503": 1}
    assert (report.requests, report.accepted, report.unanswered) == (144, 140, 1)


def test_worker_hours_leave_out_what_was_not_seen() -> None:
    samples = [Sample(0, running=2), Sample(1, running=2), Sample(2), Sample(3, running=4), Sample(4, running=1)]
    hours, unknown_s = worker_hours(samples)
    assert hours == pytest.approx(8 / 3600)
    assert unknown_s == 1
    late = [Sample(0, running=2), Sample(GAP_S + 0.1, running=2)]
    assert worker_hours(late) == (None, GAP_S + 0.1)
    assert worker_hours([Sample(0), Sample(1)]) == (None, 1)


@pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.51, 3), (0.95, 4), (1.0, 4), (0.0, 1)])
def test_quantiles_are_values_that_were_measured(share: float, value: float) -> None:
    assert quantile([4, 1, 3, 2], share) == value


def test_quantile_of_nothing_is_unknown() -> None:
    assert quantile([], 0.5) is None


def test_a_replay_that_saw_nothing_has_no_figures() -> None:
    report = summarise(Recording("t", "sleep", START, [1.0]))
    assert (report.worker_hours, report.wait.worst_s, report.target_last, report.steps) == (None, None, None, [])


class Tags(HTMLParser):
    """Every tag and every address that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "data")]


def test_the_page_needs_nothing_from_elsewhere() -> None:
    made = recording()
    page = render_page(made, summarise(made))
    tags = Tags()
    tags.feed(page)
    assert tags.tags.count("svg") == 4
    assert not {"script", "link", "iframe", "img", "object"} & set(tags.tags)
    assert tags.fetched == []
    assert not re.search(r"url\(|@import", page)


def test_the_page_says_what_happened_and_escapes_what_it_was_told() -> None:
    made = recording()
    made.trace = "<b>burst</b>"
    made.decisions.append(step(9, 180, "scale_up", 1, 2, "depth 14 > 10 <script>"))
    page = render_page(made, summarise(made))
    assert "140 jobs accepted, 140 succeeded, 0 lost" in page
    assert "step up 1 -&gt; 2: depth 14 &gt; 10" in page
    assert "queue_depth 14, p95_ms no traffic" in page
    assert "<script" not in page
    assert "<b>" not in page


def test_decisions_that_could_not_be_read_are_said() -> None:
    made = recording()
    made.decisions, made.has_decisions = [], False
    assert "ADMIN_TOKEN" in render_page(made, summarise(made))
