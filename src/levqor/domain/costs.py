"""What an installation pays for and how it wants it counted: the dials of forecast, brake and budget alerts."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from levqor.domain.spending import Category

CATEGORIES_OF: Mapping[str, frozenset[Category]] = {
    "stripe": frozenset({Category.FEES, Category.REVENUE}),
    "openai": frozenset({Category.AI}),
}
"""What comes from each source that has to be asked."""


@dataclass(frozen=True, slots=True)
class SourceView:
    """How far a source that has to be asked can be believed now."""

    is_behind: bool
    """It does not answer, or was not read for long: its last figures are used, as far as there are any."""
    read_at: datetime | None
    """When it was last read to its end; None: never."""
    problem: str


@dataclass(frozen=True, slots=True)
class CostRules:
    """The dials, as the settings have them."""

    currency: str = "usd"
    method: str = "auto"
    guard_categories: frozenset[Category] = frozenset({Category.WORKERS, Category.INFRA, Category.AI})
    daily_limit: Decimal | None = None
    """Money per day; None: neither brake nor budget."""
    hourly_cost: Decimal = Decimal(0)
    """Of one worker."""
    constants: Mapping[str, Decimal] = field(default_factory=dict)
    """Per month, by line item."""
    sources: frozenset[str] = frozenset()
    """Those that have to be asked and have a key."""
    budget_period: str = "month"
    budget_percents: tuple[int, ...] = (50, 80, 90, 100)

    @property
    def has_price(self) -> bool:
        """Is anything set that costs?"""
        return bool(self.hourly_cost or self.constants or self.sources)

    @property
    def basis(self) -> str:
        """What a forecast depends on besides the ledger: one that was made on another basis is not the current one."""
        return json.dumps(
            {
                "currency": self.currency,
                "method": self.method,
                "guard": sorted(self.guard_categories),
                "limit": None if self.daily_limit is None else str(self.daily_limit),
                "constants": {name: str(amount) for name, amount in sorted(self.constants.items())},
                "sources": sorted(self.sources),
                "budget": self.budget_period,
            },
            separators=(",", ":"),
        )
