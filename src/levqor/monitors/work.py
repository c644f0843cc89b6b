"""What each tick saw of the work, kept by the minute: the advice report plays it again (spec A12)."""

from sqlalchemy import Connection

from levqor.monitors.judgement import Beat
from levqor.monitors.reading import Reading
from levqor.policies.quiet import credited_s
from levqor.store.work import Work, add_work


def note_work(connection: Connection, reading: Reading, beat: Beat) -> None:
    """Add this tick's share to its minute; nothing where the arrivals or the workers are not known, nor for a gap."""
    signals, workers = reading.signals, reading.fleet.running
    rate = signals.arrival_rate.value
    elapsed_s = credited_s(beat.elapsed_s, beat.tick_s)
    if rate is None or workers is None or elapsed_s <= 0:
        return
    # Nobody waits: known, and not the same as not known.
    oldest_wait_s = 0.0 if signals.queue_depth.value == 0 else signals.oldest_wait_s.value
    seen = Work(elapsed_s, rate * elapsed_s, workers * elapsed_s, signals.mean_service_s.value, oldest_wait_s)
    add_work(connection, beat.now, reading.fleet.name, seen)
