"""The policies that can be scored, by name: Levqor's own rules and the baselines."""

from collections.abc import Callable

from levqor.domain.errors import UsageError
from levqor.lab.baselines.aws import BacklogPerWorker, BusyShare
from levqor.lab.baselines.celery import Celery
from levqor.lab.baselines.fixed import FullFleet, OneWorker
from levqor.lab.baselines.hpa import Keda, hpa_depth, hpa_in_system
from levqor.lab.baselines.judoscale import Judoscale
from levqor.lab.baselines.knative import Knative
from levqor.lab.own_rules import Threshold, Wait
from levqor.lab.ticks import Policy

POLICIES: dict[str, Callable[[], Policy]] = {
    "threshold": Threshold,
    "threshold-60s": lambda: Threshold(60.0),
    "wait": Wait,
    "static-1": OneWorker,
    "static-max": FullFleet,
    "hpa-depth": hpa_depth,
    "hpa-in-system": hpa_in_system,
    "keda": Keda,
    "knative": Knative,
    "celery": Celery,
    "judoscale-like": Judoscale,
    "aws-backlog": BacklogPerWorker,
    "aws-busy": BusyShare,
}


def make_policy(name: str) -> Policy:
    """A new object of the policy of this name, for one run. Raises UsageError that lists the names."""
    try:
        return POLICIES[name]()
    except KeyError:
        raise UsageError(f"{name!r} is no policy; expected one of: {', '.join(POLICIES)}") from None
