"""The SDK's wiring against somebody else's Stripe: address, key, pages, charges and refunds."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.clock import ManualClock
from tests.conftest import free_port
from tests.waiting import eventually

from levqor.domain.errors import SourceDown
from levqor.domain.spending import total
from levqor.spend.stripe import Stripe, entries_of, open_client

KEY = "sk_test_12345"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, str(Path(__file__).parent / "localstripe_process.py"), str(port)])

    def is_there() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually(is_there, within_s=30, what="localstripe")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def test_charges_and_refunds_of_several_pages_are_read(url: str) -> None:
    with open_client(KEY, url) as client:
        # The SDK wants whole numbers as such; on the wire they are text either way.
        card: Any = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2040, "cvc": "123"}
        paid_by = client.v1.payment_methods.create({"type": "card", "card": card}).id
        charges = [client.v1.charges.create({"amount": 1_000 + number, "currency": "usd", "source": paid_by}) for number in range(12)]
        client.v1.refunds.create({"charge": charges[0].id, "amount": 400})
        found = [page.to_dict() for page in client.v1.balance_transactions.list({"limit": 5}).auto_paging_iter()]
    entries = [entry for transaction in found for entry in entries_of(transaction)]
    assert len(entries) == 13
    assert total(entry.amount for entry in entries) == Decimal(12 * 1_000 + 66 - 400) / 100
    assert {entry.line_item for entry in entries} == {"stripe_charges", "stripe_refunds"}


def test_what_it_does_not_speak_is_named(url: str) -> None:
    """It knows no window of time for balance transactions."""
    with pytest.raises(SourceDown, match=r"refuses the request \(400\)") as caught:
        list(Stripe(KEY, url, clock=ManualClock(datetime(2026, 3, 1, tzinfo=UTC))).pages(None))
    assert caught.value.permanent


def test_a_restricted_key_that_it_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(SourceDown, match="check STRIPE_SECRET_KEY"):
        list(Stripe("rk_test_12345", url, clock=ManualClock()).pages(None))
