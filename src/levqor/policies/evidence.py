"""Is a rate really too high? The exact binomial test behind every breach (spec W2b)."""

from math import exp, lgamma, log, log1p

SIGNIFICANCE = 1e-3
"""A breach needs a violation that a service just inside its objective would show less often than this."""

_ITERATIONS = 10_000
_PRECISION = 1e-14
_TINY = 1e-300


def p_value(events: int, trials: int, rate: float) -> float:
    """The chance of at least `events` in `trials` when each has the chance `rate`: the binomial's upper tail, exact.

    P(X >= k) = I_rate(k, n - k + 1), the regularised incomplete beta function (NIST DLMF 8.17.5), by the continued
    fraction DLMF 8.17.22. Raises ValueError for impossible counts.
    """
    if not 0 <= events <= trials or not 0.0 < rate < 1.0:
        raise ValueError("expected 0 <= events <= trials and 0 < rate < 1")
    if events == 0:
        return 1.0
    a, b = float(events), float(trials - events + 1)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(rate) + b * log1p(-rate))
    # The fraction converges fast on the smaller tail; the other is its complement.
    if rate < (a + 1) / (a + b + 2):
        return min(1.0, front * _fraction(a, b, rate) / a)
    return max(0.0, 1.0 - front * _fraction(b, a, 1.0 - rate) / b)


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function, evaluated by Lentz's method as Thompson and Barnett modified it."""
    c, d = 1.0, _safe_inverse(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, _ITERATIONS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = _safe_inverse(1.0 + numerator * d)
            c = 1.0 + numerator / c
            c = c if abs(c) > _TINY else _TINY
            value *= c * d
        if abs(c * d - 1.0) < _PRECISION:
            return value
    raise ArithmeticError("the continued fraction did not converge")


def _safe_inverse(value: float) -> float:
    return 1.0 / (value if abs(value) > _TINY else _TINY)
