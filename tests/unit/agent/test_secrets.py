"""What a worker does not get to see (spec X2)."""

import pytest

from levqor.agent.process import OURS_ALONE

OURS = ("ADMIN_TOKEN", "METRICS_TOKEN", "JWT_SECRET", "API_KEYS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "ALERT_URLS")
AS_LIKELY_THE_TEAMS = ("DATABASE_URL", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")


@pytest.mark.parametrize("name", OURS)
def test_a_secret_of_the_control_plane_is_kept_from_jobs(name: str) -> None:
    assert {name, f"{name}_FILE", f"LEVQOR_{name}", f"LEVQOR_{name}_FILE"} <= OURS_ALONE


@pytest.mark.parametrize("name", AS_LIKELY_THE_TEAMS)
def test_a_name_that_jobs_may_need_is_kept_only_with_our_prefix(name: str) -> None:
    assert {f"LEVQOR_{name}", f"LEVQOR_{name}_FILE"} <= OURS_ALONE
    assert OURS_ALONE.isdisjoint({name, f"{name}_FILE"})
