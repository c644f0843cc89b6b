"""What the web part is handed, and the processes that serve and tick."""

import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from levqor.bootstrap.database import version
from levqor.bootstrap.plane import ControlPlane, control_plane
from levqor.bootstrap.processes import nothing
from levqor.bootstrap.targets import target_desk
from levqor.handlers import BUILT_IN
from levqor.monitors.deploys import DeployDesk
from levqor.monitors.overview import Overview, OverviewParts
from levqor.monitors.promises import PromiseDesk
from levqor.monitors.sign_ins import SignIns
from levqor.settings import Configuration, Settings
from levqor.store.sessions import Sessions

if TYPE_CHECKING:
    from levqor.web.services import Services


def overview_of(plane: ControlPlane) -> Overview:
    """The dashboard's first screen."""
    return Overview(
        OverviewParts(
            operations=plane.operations,
            incidents=plane.incident_desk,
            database=plane.database,
            clock=plane.clock,
            rules=plane.settings.rules,
            slo_p99_ms=plane.settings.slo_p99_ms,
            version=version(),
            cost_today=plane.costs.today,
            cost_forecast=plane.costs.forecast,
        )
    )


def sign_ins_of(plane: ControlPlane) -> SignIns:
    """Sessions of the dashboard, each begun one a sign of activity."""
    sessions = Sessions(plane.database, plane.clock, timedelta(hours=plane.settings.session_hours))
    return SignIns(sessions, plane.retention, plane.clock)


def services(plane: ControlPlane, on_start: Callable[[], None], on_stop: Callable[[], None]) -> "Services":
    """What the web part is handed."""
    from levqor.web.services import Services
    from levqor.web.site import FOLDER

    return Services(
        site=FOLDER,
        settings=plane.settings,
        operations=plane.operations,
        engine=plane.engine if plane.settings.intake_enabled else None,
        idempotency=plane.idempotency,
        telemetry=plane.telemetry,
        clock=plane.clock,
        version=version(),
        handlers=sorted({*BUILT_IN, *plane.settings.handlers}),
        recorder=plane.recorder,
        alerts=plane.alert_desk,
        dead_letters=plane.dead_letters,
        incidents=plane.incident_desk,
        overview=overview_of(plane),
        sign_ins=sign_ins_of(plane),
        verification=plane.verification,
        retention=plane.retention,
        costs=plane.costs,
        schedule=plane.schedule,
        targets=target_desk(plane.settings, plane.operations, plane.database, plane.clock),
        deploys=DeployDesk(plane.database, plane.clock),
        promises=PromiseDesk(plane.database),
        on_start=on_start,
        on_stop=on_stop,
    )


def openapi() -> dict[str, Any]:
    """The whole API as OpenAPI; nothing is opened, and no setting of this machine is in it."""
    from levqor.web.app import create_app
    from levqor.web.docs import description

    # Any address, token and secret will do: every route is there, and none is asked.
    anything = {"redis_url": "redis://127.0.0.1", "admin_token": "described", "jwt_secret": "described-only-here"}
    configuration = Configuration(Settings(**anything), dict.fromkeys(Settings.model_fields, "default"))
    plane = control_plane(configuration, with_autopilot=False)
    return description(create_app(services(plane, nothing, nothing)), "")


def run_web(configuration: Configuration, fd: int | None, *, with_autopilot: bool, ready_fd: int | None = None) -> int:
    """Serve until told to stop; the exit code. `ready_fd`: where to say that connections are accepted."""
    from levqor.web.app import create_app
    from levqor.web.logs import configure
    from levqor.web.server import serve, tell_ready

    configure(configuration.settings)
    plane = control_plane(configuration, with_autopilot=with_autopilot)
    serve(create_app(services(plane, plane.start, plane.close)), configuration.settings, fd=fd, on_ready=tell_ready(ready_fd))
    return 0


def run_autopilot(configuration: Configuration) -> int:
    """Tick until told to stop; the exit code."""
    from levqor.web.logs import configure

    configure(configuration.settings)
    plane = control_plane(configuration, with_autopilot=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    plane.start()
    stop.wait()
    plane.close()
    return 0
