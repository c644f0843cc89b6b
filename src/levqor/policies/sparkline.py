"""A row of numbers as characters: any mail client, terminal or screen shows it, and it is copied as text."""

from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"


def sparkline(values: Sequence[float | None]) -> str:
    """One character a value, from zero to the highest; a value that is not known is a dot. Empty where nothing is known."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    highest = max(known)
    return "".join(GAP if value is None else _block(value, highest) for value in values)


def _block(value: float, highest: float) -> str:
    if highest <= 0 or value <= 0:
        return BLOCKS[0]
    return BLOCKS[min(len(BLOCKS) - 1, int(value / highest * len(BLOCKS)))]
