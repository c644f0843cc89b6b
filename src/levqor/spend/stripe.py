"""Stripe's balance transactions: charges are revenue, fees are cost, refunds and disputes take revenue back (spec C1)."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from levqor.domain.errors import SourceDown
from levqor.domain.spending import EXACT, Category, Entry, EntryType, SpendPage
from levqor.ports import Clock
from levqor.spend.failures import refusal, usable_key, wait_of

if TYPE_CHECKING:
    from stripe import StripeClient, StripeError
    from stripe.params import BalanceTransactionListParams

KEY_SETTING = "STRIPE_SECRET_KEY"
PAGE = 100
TIMEOUT_S = (5.0, 20.0)
"""To connect, and between two pieces of an answer."""
HISTORY_S = 90 * 86_400
OVERLAP_S = 2 * 3_600
"""Read again each time, so that what came late or within the same second is not missed."""
AHEAD_S = 86_400
"""Stripe's clock and ours may differ by this; nothing is created later."""
PAGES_MAX = 5_000

NO_PLACES = frozenset({"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"})
THREE_PLACES = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})


class Kind(NamedTuple):
    """What a balance transaction's gross amount is in the ledger; `sign` -1 where a cost lowers the balance."""

    category: Category
    type: EntryType
    line_item: str
    sign: int = 1


_CHARGE = Kind(Category.REVENUE, EntryType.REVENUE, "stripe_charges")
_REFUND = Kind(Category.REVENUE, EntryType.REFUND, "stripe_refunds")
_DISPUTE = Kind(Category.REVENUE, EntryType.REFUND, "stripe_disputes")
_ADJUSTMENT = Kind(Category.REVENUE, EntryType.REFUND, "stripe_adjustments")
_FEE = Kind(Category.FEES, EntryType.FEE, "stripe_fees", -1)

KINDS: dict[str, Kind] = {
    **dict.fromkeys(("charge", "payment", "platform_earning", "application_fee"), _CHARGE),
    **dict.fromkeys(("refund", "payment_refund", "refund_failure", "charge_failure", "payment_failure_refund"), _REFUND),
    **dict.fromkeys(("partial_capture_reversal", "platform_earning_refund", "application_fee_refund", "payment_reversal"), _REFUND),
    **dict.fromkeys(("dispute", "dispute_reversal"), _DISPUTE),
    **dict.fromkeys(("other_adjustment", "adjustment"), _ADJUSTMENT),
    **dict.fromkeys(("fee", "network_cost", "stripe_fee", "stripe_fx_fee", "tax_fee"), _FEE),
}
"""By reporting category, or else type. All others (payouts, transfers, top-ups, reserves) move money without earning or spending it."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One way down a window of time, the newest first: where it is, and the newest that it began with."""

    gte: int
    lt: int
    after: str | None = None
    oldest: int | None = None
    top: int | None = None

    @property
    def json(self) -> dict[str, Any]:
        return {"gte": self.gte, "lt": self.lt, "after": self.after, "oldest": self.oldest, "top": self.top}


class Stripe:
    """Reads with Stripe's own SDK. No text of Stripe's goes into an error, since it may hold a part of the key."""

    name = "stripe"

    def __init__(self, key: str, base: str, *, clock: Clock) -> None:
        self._key, self._base, self._clock = key, base.rstrip("/"), clock

    def pages(self, cursor: Mapping[str, Any] | None) -> Iterator[SpendPage]:
        """What is newer than the newest seen, with an overlap; a walk that was cut short is finished first. Raises SourceDown."""
        known = dict(cursor or {})
        left_out = set(known.get("left_out", ()))
        with open_client(usable_key(self._key, KEY_SETTING), self._base) as client:
            if known.get("walk"):
                yield from self._walk(client, Walk(**known["walk"]), known, left_out)
            yield from self._walk(client, self._window(known.get("newest")), known, left_out)

    def _window(self, newest: int | None) -> Walk:
        now = int(self._clock.now().timestamp())
        # The newest seen is Stripe's own time: a clock of ours that is set, forward or back, skips nothing.
        start = now - HISTORY_S if newest is None else newest - OVERLAP_S
        return Walk(gte=start, lt=max(now, newest or 0) + AHEAD_S)

    def _walk(self, client: "StripeClient", walk: Walk, known: dict[str, Any], left_out: set[str]) -> Iterator[SpendPage]:
        """Down the window. `known` is kept up to date, so that whatever was yielded last can be gone on from."""
        before: frozenset[str] = frozenset()
        for _number in range(PAGES_MAX):
            try:
                found, has_more = _page(client, walk)
            except ResumeLost:
                known.pop("walk")
                return
            ids = [str(transaction["id"]) for transaction in found]
            _refuse_a_repeat(found, ids, before, walk, has_more=has_more)
            entries = tuple(entry for transaction in found for entry in entries_of(transaction))
            left_out |= {kind_name(transaction) for transaction in found} - KINDS.keys()
            if found:
                top = walk.top or int(found[0]["created"])
                walk = replace(walk, after=ids[-1], oldest=int(found[-1]["created"]), top=top)
            if has_more:
                known["walk"] = walk.json
            else:
                known.pop("walk", None)
                known["newest"] = max((value for value in (known.get("newest"), walk.top) if value is not None), default=None)
            known["left_out"] = sorted(left_out)
            yield SpendPage(entries, dict(known))
            if not has_more:
                return
            before = frozenset(ids)
        raise SourceDown(f"Stripe: no end after {PAGES_MAX} pages")


class ResumeLost(Exception):
    """The transaction that a walk was to go on from is unknown to Stripe."""


@contextmanager
def open_client(key: str, base: str) -> "Iterator[StripeClient]":
    """The SDK against `base`. It retries nothing by itself: whoever syncs does, and knows when to stop."""
    from stripe import RequestsClient, StripeClient

    # Its log repeats what Stripe answers: descriptions of charges, and parts of a wrong key.
    logging.getLogger("stripe").setLevel(logging.WARNING)
    http = RequestsClient(timeout=TIMEOUT_S)
    try:
        yield StripeClient(key, base_addresses={"api": base}, max_network_retries=0, http_client=http)
    finally:
        http.close()  # type: ignore[no-untyped-call] # the SDK left it so


def _page(client: "StripeClient", walk: Walk) -> tuple[Sequence[Mapping[str, Any]], bool]:
    from stripe import StripeError

    asked: BalanceTransactionListParams = {"limit": PAGE, "created": {"gte": walk.gte, "lt": walk.lt}}
    if walk.after is not None:
        asked["starting_after"] = walk.after
    try:
        found = client.v1.balance_transactions.list(asked)
    except StripeError as error:
        if error.code == "resource_missing" and walk.after is not None:
            raise ResumeLost from None
        raise _down(error) from None
    try:
        # Plain mappings: an object of the SDK raises where a field is absent.
        plain = found.to_dict()
        return [_checked(transaction) for transaction in plain["data"]], plain["has_more"] is True
    except (KeyError, TypeError, AttributeError, ValueError):
        raise SourceDown("Stripe's answer is not a list of balance transactions") from None


def _checked(transaction: Any) -> dict[str, Any]:
    for name in ("amount", "fee", "created"):
        if type(transaction[name]) is not int:
            raise TypeError(name)
    for name in ("id", "currency", "type"):
        if not isinstance(transaction[name], str) or not transaction[name]:
            raise TypeError(name)
    return dict(transaction)


def _refuse_a_repeat(found: Sequence[Mapping[str, Any]], ids: Sequence[str], before: frozenset[str], walk: Walk, *, has_more: bool) -> None:
    """A page that was there already, or that leads nowhere, would be asked for without end."""
    if has_more and not found:
        raise SourceDown("Stripe says that there is more, and sends an empty page")
    is_upwards = bool(found) and walk.oldest is not None and int(found[0]["created"]) > walk.oldest
    if is_upwards or not before.isdisjoint(ids) or walk.after in ids:
        raise SourceDown("Stripe repeats a page")


def kind_name(transaction: Mapping[str, Any]) -> str:
    """Its reporting category where that is known to us, else its type."""
    category = transaction.get("reporting_category")
    return str(category) if category else str(transaction["type"])


def entries_of(transaction: Mapping[str, Any]) -> list[Entry]:
    """A balance transaction's lines: its gross amount where it is revenue or cost, and its fee; on the day that it was made."""
    kind = KINDS.get(kind_name(transaction))
    lines = []
    if kind is not None and transaction["amount"]:
        lines.append(_entry(transaction, "", kind, kind.sign * transaction["amount"]))
    if transaction["fee"]:
        lines.append(_entry(transaction, ":fee", _FEE, transaction["fee"]))
    return lines


def _entry(transaction: Mapping[str, Any], suffix: str, kind: Kind, minor: int) -> Entry:
    currency = str(transaction["currency"]).lower()
    try:
        return Entry(
            source=Stripe.name,
            key=f"{transaction['id']}{suffix}",
            at=datetime.fromtimestamp(transaction["created"], UTC),
            line_item=kind.line_item,
            category=kind.category,
            type=kind.type,
            currency=currency,
            amount=money(minor, currency),
        )
    except (ValueError, OverflowError, OSError):
        raise SourceDown("Stripe's answer holds a balance transaction that cannot be read") from None


def money(minor: int, currency: str) -> Decimal:
    """Stripe's smallest unit as an amount: yen have no cents, dinars have three decimal places."""
    places = 0 if currency in NO_PLACES else 3 if currency in THREE_PLACES else 2
    return EXACT.scaleb(Decimal(minor), -places)


def _down(error: "StripeError") -> SourceDown:
    if error.http_status is None:
        return SourceDown("Stripe does not answer")
    if error.http_status == 200:
        return SourceDown("Stripe's answer is not JSON")
    return refusal("Stripe", error.http_status, KEY_SETTING, wait_of(error.headers))
