"""A forecast in the words of the contract (spec C2): rounded numbers, null where nothing is known, never NaN."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from levqor.domain.costs import CostRules
from levqor.domain.forecast import Forecast, LineForecast, SumForecast, breach_date
from levqor.domain.spending import Category
from levqor.policies.budgets import budget_of

LEVEL = 0.8
LINEAR_BAND = 0.2
PLACES = 4
SOURCES: Mapping[str, frozenset[Category]] = {
    "stripe": frozenset({Category.FEES, Category.REVENUE}),
    "infra": frozenset({Category.INFRA}),
    "openai": frozenset({Category.AI}),
    "workers": frozenset({Category.WORKERS}),
}


@dataclass(frozen=True, slots=True)
class Basis:
    """What the answer says besides the forecast's own figures."""

    rules: CostRules
    computed_at: datetime
    today: date
    requested: str
    kept_promises: Sequence[bool]
    spent_in_budget: Decimal
    other_currencies: Mapping[str, Mapping[Category, Decimal]]


def forecast_answer(found: Forecast, basis: Basis) -> dict[str, Any]:
    """JSON-able. The forecast is of costs; revenue and margin stand apart."""
    from levqor.policies.forecast import combine

    def total(chosen: Iterable[LineForecast]) -> SumForecast:
        return combine(list(chosen), basis.today, LEVEL)

    lines, rules = found.lines, basis.rules
    cost = total(line for line in lines if line.category != Category.REVENUE)
    guarded = total(line for line in lines if line.category in rules.guard_categories)
    return {
        "forecast_next_30d": _number(cost.total) or 0.0,
        **_interval(cost, basis.requested),
        "interval_level": LEVEL,
        "guard_forecast_next_30d": _number(guarded.total),
        "guard_low_data": guarded.low_data,
        "guard_categories": sorted(rules.guard_categories),
        "currency": rules.currency,
        "other_currencies": _others(basis.other_currencies),
        "breakdown": _breakdown(lines, cost, total),
        "daily": _daily(basis.today, cost, guarded),
        "limit": None if rules.daily_limit is None else float(rules.daily_limit),
        "limit_breach_date": _first_day_above(basis.today, guarded, rules.daily_limit),
        "budget": _budget(cost, basis),
        "coverage_so_far": _coverage(basis.kept_promises),
        "method": basis.requested,
        "methods": {f"{line.category}/{line.name}": line.sum.method for line in lines},
        "source_errors": {name: _error(_of(lines, categories)) for name, categories in SOURCES.items()},
        "unknown": sorted(found.unknown),
        "low_data": cost.low_data,
        "days_of_history": cost.n_days,
        "computed_at": basis.computed_at.isoformat(),
        "basis": rules.basis,
    }


def _interval(cost: SumForecast, method: str) -> dict[str, float | None]:
    """`linear` promises exactly 20 % to either side of the whole, its fixed lines too (spec C3)."""
    if method == "linear" and cost.total is not None:
        off = LINEAR_BAND * abs(cost.total)
        return {"confidence_low": _number(cost.total - off), "confidence_high": _number(cost.total + off)}
    return {"confidence_low": _number(cost.low), "confidence_high": _number(cost.high)}


def _of(lines: Sequence[LineForecast], categories: Iterable[str]) -> list[LineForecast]:
    wanted = set(categories)
    return [line for line in lines if line.category in wanted]


def _breakdown(lines: Sequence[LineForecast], cost: SumForecast, total: Callable[[Iterable[LineForecast]], SumForecast]) -> dict[str, Any]:
    def part(category: Category) -> dict[str, Any]:
        chosen = _of(lines, [category])
        return _figure(total(chosen), _error(chosen))

    revenue = total(_of(lines, [Category.REVENUE]))
    infra = {line.name: {**_figure(line.sum, line.sum.error), "is_fixed": line.is_fixed} for line in _of(lines, [Category.INFRA])}
    return {
        "stripe_charges": part(Category.REVENUE),
        "stripe_fees": part(Category.FEES),
        "infra": {**part(Category.INFRA), "lines": infra},
        "openai": part(Category.AI),
        "workers": part(Category.WORKERS),
        "total_cost": _figure(cost, _error([line for line in lines if line.category != Category.REVENUE])),
        "margin": _margin(revenue, cost),
    }


def _figure(found: SumForecast, error: float | None) -> dict[str, Any]:
    return {"forecast": _number(found.total), "low": _number(found.low), "high": _number(found.high), "error": _number(error)}


def _margin(revenue: SumForecast, cost: SumForecast) -> dict[str, Any]:
    """Its interval takes the worse end of both: revenue and cost need not err in opposite ways."""

    def minus(one: float | None, other: float | None) -> float | None:
        return None if one is None else _number(one - (other or 0.0))

    return {
        "forecast": minus(revenue.total, cost.total),
        "low": minus(revenue.low, cost.high),
        "high": minus(revenue.high, cost.low),
        "error": None,
    }


def _error(lines: Sequence[LineForecast]) -> float | None:
    """The lines' backtest errors, weighted by their size; a fixed line carries none. None: too short a history to tell."""
    known = [(0.0 if line.is_fixed else line.sum.error, abs(line.sum.total or 0.0)) for line in lines]
    if not known or any(error is None for error, size in known if size):
        return None
    whole = sum(size for _error, size in known)
    return _number(sum((error or 0.0) * size for error, size in known) / whole) if whole else None


def _daily(today: date, cost: SumForecast, guarded: SumForecast) -> list[dict[str, Any]]:
    days = []
    for n, amount in enumerate(cost.daily):
        of_guard = guarded.daily[n] if n < len(guarded.daily) else None
        band = {"low": _number(cost.daily_low[n]), "high": _number(cost.daily_high[n])}
        days.append({"day": (today + timedelta(days=n)).isoformat(), "cost": _number(amount), **band, "guarded": _number(of_guard)})
    return days


def _first_day_above(today: date, guarded: SumForecast, limit: Decimal | None) -> str | None:
    """The first day that is expected to cost more than the limit allows for a day."""
    if limit is None:
        return None
    above = (n for n, amount in enumerate(guarded.daily) if amount > float(limit))
    first = next(above, None)
    return None if first is None else (today + timedelta(days=first)).isoformat()


def _budget(cost: SumForecast, basis: Basis) -> dict[str, Any] | None:
    """How far the period's budget is expected to last, all costs counted; None without a limit."""
    if basis.rules.daily_limit is None:
        return None
    budget = budget_of(basis.today, basis.rules.budget_period, basis.rules.daily_limit)
    left = (budget.last_day - basis.today).days + 1
    amount, spent = float(budget.amount), float(basis.spent_in_budget)
    expected = breach_date(basis.today, cost.cumulative[:left], amount, spent)
    earliest = breach_date(basis.today, cost.cumulative_high[:left], amount, spent)
    return {
        "period": basis.rules.budget_period,
        "key": budget.key,
        "amount": amount,
        "used_up_on": expected and expected.isoformat(),
        "used_up_on_earliest": earliest and earliest.isoformat(),
    }


def _coverage(kept: Sequence[bool]) -> dict[str, Any]:
    """How many of the past forecasts held what came: their own proof."""
    return {"share": _number(sum(kept) / len(kept)) if kept else None, "count": len(kept), "level": LEVEL}


def _others(sums: Mapping[str, Mapping[Category, Decimal]]) -> dict[str, dict[str, float]]:
    return {currency: {category.value: float(amount) for category, amount in found.items()} for currency, found in sums.items()}


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(float(value), PLACES) + 0.0
