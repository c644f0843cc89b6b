"""What the documentation must hold, taken from the code that it documents."""

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from levqor.domain.fleet import FleetKind, FleetState, QueueState
from levqor.domain.signals import Signal, Signals
from levqor.host import SystemClock
from levqor.settings import ONLY_PREFIXED, PREFIX, Settings
from levqor.store.telemetry import Counts, Totals
from levqor.web.app import create_app
from levqor.web.metrics import COSTS, LABELS, render
from levqor.web.services import Services

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def settings_row(field: str) -> str:
    """The row of docs/settings.md that documents a setting."""
    info, name = Settings.model_fields[field], field.upper()
    bare = "" if name in ONLY_PREFIXED else f"`{name}`"
    secret = f" A secret: also `{name}_FILE`." if "SecretStr" in str(info.annotation) else ""
    return f"| `{PREFIX}{name}` | {bare} | {_default(info)} | {info.description}{secret} |"


def _default(info: FieldInfo) -> str:
    value: Any = info.default if info.default is not PydanticUndefined else info.default_factory()  # type: ignore[misc, call-arg]
    if value is None or value in ("", [], {}):
        return "unset"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list):
        return f"`{','.join(f'{word:g}' if isinstance(word, float) else str(word) for word in value)}`"
    if isinstance(value, float | Decimal):
        return f"`{float(value):g}`" if value < 100_000 else f"`{int(value)}`"
    return f"`{value}`"


def routes() -> set[tuple[str, str]]:
    """Every route as method and path, read from the application's own description."""
    nothing: Any = SimpleNamespace()
    services = Services(
        settings=Settings(admin_token="of-nobody", jwt_secret="of-nobody-at-all"),
        operations=nothing,
        engine=nothing,
        idempotency=nothing,
        telemetry=nothing,
        clock=SystemClock(),
        version="0",
        alerts=nothing,
        incidents=nothing,
        verification=nothing,
        schedule=nothing,
        retention=nothing,
        costs=nothing,
        overview=nothing,
        sign_ins=nothing,
        targets=nothing,
        deploys=nothing,
        promises=nothing,
    )
    described = create_app(services).openapi()["paths"]
    pages = {("GET", path) for path in ("/", "/docs", "/openapi.json")}
    return pages | {(method.upper(), path) for path, methods in described.items() for method in methods}


def metrics() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every metric of a service of which everything is known: its type and its labels."""
    totals = Totals(
        histograms={(kind, *labels): Counts(total=1, total_ms=1.0) for kind, labels in LABELS.items()},
        counters={("job", "queue", "handler", "outcome"): 1},
    )
    telemetry: Any = SimpleNamespace(totals=lambda: totals)
    known = Signal.of(1.0)
    reading: Any = SimpleNamespace(
        signals=Signals(**{name: known for name in Signals.names()}),
        fleet=FleetState("default", FleetKind.AGENT, ("default",), target=1, running=1),
        queues=[QueueState("default", depth=1, oldest_wait_s=1.0, running=0, delayed=0, dead=0)],
        workers=[],
        problems={},
    )
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for family in text_string_to_metric_families(render(telemetry, reading, {}, dict.fromkeys(COSTS, 1.0), {"kept": 1}).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = (family.type, tuple(sorted(label for label in family.samples[0].labels if label != "le")))
    return found
