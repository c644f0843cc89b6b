"""What this installation promises, and how it recovers."""

from datetime import timedelta

from levqor.fleets.app import AppReload
from levqor.monitors.dead_letter_desk import Pace
from levqor.monitors.incident_response import ResponseRules
from levqor.monitors.slo_watchdog import Objectives
from levqor.ports import Clock
from levqor.settings import Settings

FLUSHED_WITHIN_S = 15.0
"""What was counted has reached the store by then."""


def app_reload(settings: Settings, clock: Clock) -> AppReload | None:
    """How the attached app is reloaded; None where it is not ours to reload."""
    if settings.app_reload_command is None:
        return None
    return AppReload(settings.app_reload_command, settings.app_ready_url, settings.app_reload_timeout_s, clock)


def response_rules(settings: Settings) -> ResponseRules:
    """The dials of incident response; a recovery is judged once the shortest window holds nothing of before it."""
    return ResponseRules(
        limits=settings.recovery_limits,
        settle_s=min(settings.slo_windows_s) + FLUSHED_WITHIN_S,
        verify_s=settings.recovery_verify_s,
        quiet_s=settings.incident_quiet_s,
        each_worker_s=settings.drain_grace_s + settings.start_timeout_s + FLUSHED_WITHIN_S,
        allow=frozenset(settings.redrive_allow),
        pace=Pace(settings.flush_canary, settings.flush_batch, settings.flush_pause_s),
    )


def objectives_of(settings: Settings) -> Objectives:
    """The promised levels."""
    return Objectives(
        p99_ms=settings.slo_p99_ms,
        error_rate=settings.slo_error_rate,
        availability=settings.slo_availability,
        is_literal=settings.slo_evidence == "literal",
        windows=tuple(timedelta(seconds=width) for width in settings.slo_windows_s),
    )
