"""Is there memory for one more worker (spec A13)?"""

from math import ceil

from levqor.domain.fleet import Room

ROOM_FACTOR = 1.5
"""Free memory must exceed this many times a worker's P95 size."""

STALLED_PERCENT = 10.0
"""Memory pressure: all tasks stalled on memory for more than this share of the last 10 s (PSI, `full avg10`)."""

MIB = 1024 * 1024


def room_for(room: Room | None) -> int | None:
    """How many workers more there is room for; None where nobody measures it."""
    if room is None or room.free_bytes is None or not room.worker_p95_bytes:
        return None
    return max(0, ceil(room.free_bytes / (ROOM_FACTOR * room.worker_p95_bytes)) - 1)


def no_room(room: Room | None) -> str | None:
    """The reason why there is no room for a worker, with its figures; None when there is."""
    if room is None:
        return None
    if room.stalled_percent is not None and room.stalled_percent > STALLED_PERCENT:
        return f"memory pressure: tasks stalled {room.stalled_percent:.0f} % of the last 10 s (limit {STALLED_PERCENT:.0f} %)"
    if room.free_bytes is None or room.worker_p95_bytes is None:
        return None
    needed = ROOM_FACTOR * room.worker_p95_bytes
    if room.free_bytes > needed:
        return None
    return (
        f"{room.free_bytes / MIB:.0f} MiB free, a step needs more than {needed / MIB:.0f} MiB "
        f"({ROOM_FACTOR} x a worker's P95 of {room.worker_p95_bytes / MIB:.0f} MiB)"
    )
