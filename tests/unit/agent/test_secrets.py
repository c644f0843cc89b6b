"""What a worker does not get to see (spec X2)."""

import pytest

from levqor.agent.process import NEEDED
from levqor.settings import secret_variables

HIDDEN = secret_variables() - NEEDED
OURS = ("ADMIN_TOKEN", "METRICS_TOKEN", "JWT_SECRET", "API_KEYS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "ALERT_URLS")
AS_LIKELY_THE_TEAMS = ("DATABASE_URL", "TELEGRAM_BOT_TOKEN", "TELEGRAM_CHAT_ID")


@pytest.mark.parametrize("name", OURS)
def test_a_secret_of_the_control_plane_is_kept_from_jobs(name: str) -> None:
    assert {name, f"{name}_FILE", f"LEVQOR_{name}", f"LEVQOR_{name}_FILE"} <= HIDDEN


@pytest.mark.parametrize("name", AS_LIKELY_THE_TEAMS)
def test_a_name_that_jobs_may_need_is_kept_only_with_our_prefix(name: str) -> None:
    assert {f"LEVQOR_{name}", f"LEVQOR_{name}_FILE"} <= HIDDEN
    assert HIDDEN.isdisjoint({name, f"{name}_FILE"})


@pytest.mark.parametrize(
    "name", ["HIREFIRE_TOKEN", "SMTP_URL", "STRIPE_SECRET_KEY", "OPENAI_ADMIN_KEY", "ANALYTICS_DATABASE_URL", "SUMMARY_URLS"]
)
def test_no_secret_setting_is_forgotten(name: str) -> None:
    assert f"LEVQOR_{name}" in HIDDEN


def test_the_store_and_the_broker_are_what_a_worker_needs() -> None:
    assert {"LEVQOR_REDIS_URL", "LEVQOR_BROKER_URL_FILE"} <= NEEDED
    assert HIDDEN.isdisjoint(NEEDED)
