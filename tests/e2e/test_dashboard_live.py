"""The dashboard before a whole installation that works, breaks and ends (spec A, I, E3)."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.e2e.dashboard import Visit
from tests.integration.running import Installation
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

Open = Callable[..., Visit]
SPIKE_JOBS = 60


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Iterator[Installation]:
    """`levqor up` with a fleet that may grow, for every test of this module in their order."""
    here = Installation(tmp_path_factory.mktemp("live"), WORKERS_MAX="3", INCIDENT_QUIET_S="5", FLUSH_PAUSE_S="0")
    try:
        here.up()
        yield here
        here.stop()
    finally:
        here.clean_up()


def token_of(installation: Installation) -> str:
    return (installation.data / "admin_token").read_text(encoding="ascii").strip()


def test_a_step_up_from_a_real_spike_appears_with_its_reason(installation: Installation, visit: Open) -> None:
    at = visit(installation.url)
    expect(at.verdict).to_be_visible()
    before = installation.get("/status")["target"]
    installation.set_flag("AUTOSCALE_ENABLED", True)
    for _ in range(SPIKE_JOBS):
        installation.submit("sleep", seconds=0.5)
    step = at.panel("Why").get_by_role("listitem").filter(has_text=f"{before} → {before + 1}").first
    expect(step).to_contain_text("depth")
    expect(at.verdict).to_contain_text("acting")
    expect(at.panel("Workers").get_by_text("busy").first).to_be_visible()
    installation.set_flag("AUTOSCALE_ENABLED", False)


def test_requeue_from_the_page_empties_the_dead_letters(installation: Installation, visit: Open) -> None:
    for _ in range(3):
        installation.post("/api/v1/intake", {"handler": "fail", "payload": {}, "max_attempts": 1})
    eventually(lambda: installation.get("/ops/queue_health")["dead"] == 3, 60, what="three dead letters")
    # Nobody takes them: they would die of the same again while the page is looked at.
    installation.post("/ops/queues/default/pause", {"why": "a look"})
    at = visit(installation.url, "/incidents").signed_in(token_of(installation))
    requeue = at.page.get_by_role("button", name="Requeue…").first
    expect(requeue).to_be_enabled()
    requeue.click()
    dialog = at.page.get_by_role("dialog")
    expect(dialog).to_contain_text("3")
    dialog.get_by_role("button", name="Requeue").click()
    eventually(lambda: installation.get("/ops/queue_health")["dead"] == 0, 30, what="no dead letter")
    assert installation.get("/ops/queue_health")["depth"] == 3
    expect(at.panel("Dead letters by exception")).to_contain_text("None: every job finished or is still tried.", timeout=30_000)
    installation.post("/ops/queues/default/resume", {})
    eventually(lambda: [row for row in installation.admin("/ops/audit")["audit"] if row["actor"] == "mia"], 60, what="the audit log")


def test_an_incident_shows_its_steps(installation: Installation, visit: Open) -> None:
    answer = installation.post("/ops/recover", {"dead_letters": "all"})
    assert "http_status" not in answer, answer
    at = visit(installation.url).signed_in(token_of(installation))
    at.page.get_by_role("link", name="Incidents", exact=True).click()
    for step in ("dead letters", "Restart workers", "Rotate the app"):
        expect(at.page.get_by_role("listitem").filter(has_text=step).first).to_be_visible()
    at.page.get_by_role("link", name="Overview").click()
    expect(at.page).to_have_url(f"{installation.url}/")
    expect(at.panel("Incidents")).to_contain_text("failed attempts")


def test_a_lost_connection_is_said_and_what_was_known_stays(installation: Installation, visit: Open) -> None:
    """Last: the installation ends here."""
    at = visit(installation.url)
    expect(at.connection).to_contain_text("updated")
    sentence = at.verdict.get_by_role("paragraph").first.text_content()
    assert installation.stop() == 0
    expect(at.connection).to_contain_text("connection lost, last data", timeout=30_000)
    expect(at.verdict).to_have_attribute("data-stale", "true")
    assert sentence is not None
    expect(at.panel("Workers")).to_have_attribute("data-stale", "true")
    installation.up()
    expect(at.connection).to_contain_text("updated", timeout=30_000)
