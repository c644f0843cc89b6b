"""The drills by name, and the shortened clocks that they run on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from levqor.lab.breakages import OUTAGE_S, broker_out, kill_store, kill_worker
from levqor.lab.drill import WORKERS, Drill
from levqor.lab.gone import gone, gone_agent
from levqor.lab.poisoning import poison
from levqor.lab.sickness import QUIET_S, crash_loop, errors, quiet, slow

CLOCKS: Mapping[str, Any] = MappingProxyType(
    {
        "tick_s": 0.5,
        "probe_period_s": 2.0,
        "drain_grace_s": 5.0,
        "start_timeout_s": 5.0,
        "job_backoff": [0.2],
        "slo_windows_s": [5, 15],
        "own_action_grace_s": 5.0,
        "recovery_verify_s": 22.0,
        "incident_quiet_s": 5.0,
        "flush_pause_s": 0.1,
    }
)
"""Shortened, so that a drill takes a minute instead of an hour."""

FLAGS: Mapping[str, Any] = MappingProxyType(
    {"WORKER_COUNT": WORKERS, "AUTOSCALE_ENABLED": False, "INCIDENT_AUTORECOVER": True, "NEW_QUEUE_ENABLED": True}
)

DRILLS: Mapping[str, Drill] = MappingProxyType(
    {
        "poison": Drill(
            "dead letters: ten that died of a passing fault, three that can never succeed",
            poison,
            settings={"job_max_attempts": 1},
            flags={"NEW_QUEUE_ENABLED": False, "INCIDENT_AUTORECOVER": False},
        ),
        "errors": Drill("a fifth of an attached app's answers fails until it is reloaded", errors),
        "slow": Drill("every answer of an attached app takes 300 ms longer until it is reloaded", slow),
        "killworker": Drill("kill -9 of workers, and of their jobs' processes, in jobs", kill_worker),
        "killstore": Drill("kill -9 of the embedded store under load", kill_store),
        "brokerout": Drill(f"the store hangs for {OUTAGE_S:.0f} s (SIGSTOP)", broker_out),
        "crashloop": Drill(
            "every worker is killed at its start, and the app fails whatever is done",
            crash_loop,
            # As in earnest, the cool-down outlasts the check of whether a recovery helped.
            settings={"recovery_cooldown_s": 40.0, "recovery_verify_s": 20.5},
        ),
        "quiet": Drill(
            f"none: a healthy service under a steady load for {QUIET_S:.0f} s",
            quiet,
            # As eager as can be: 15 s of calm without a break would be a step down.
            settings={"scale_down_quiet_s": 15.0, "recovery_cooldown_s": 1.0},
            flags={"AUTOSCALE_ENABLED": True},
        ),
        "gone-none": Drill(
            "everything of Levqor is killed beside a team's own workers (kind none)", gone, team="none", flags={"AUTOSCALE_ENABLED": True}
        ),
        "gone-slots": Drill(
            "everything of Levqor is killed while a process manager runs the workers (kind slots)",
            gone,
            team="slots",
            flags={"AUTOSCALE_ENABLED": True},
        ),
        "gone-agent": Drill(
            "the control plane is killed while the agent lives, then the agent (kind agent)",
            gone_agent,
            team="agent",
            flags={"AUTOSCALE_ENABLED": True},
        ),
    }
)
