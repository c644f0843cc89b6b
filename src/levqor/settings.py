"""Settings: command line, environment, `levqor.toml`, default; in that order, all wrong values reported at once (spec F2)."""

import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from levqor.domain.errors import Problem, SettingsError
from levqor.domain.schedule import EVERYTHING, JOB_IDS, WATCHDOG
from levqor.policies.alerting import signing_key
from levqor.policies.mail import parse_mailbox, parse_server
from levqor.policies.recovery import RecoveryLimits
from levqor.policies.scaling import ScalingRules

PREFIX = "LEVQOR_"
CONFIG_FILE = "levqor.toml"

PROCESS_MARK = f"{PREFIX}PROCESS"
"""The variable by which an agent knows what its children began."""

ONLY_PREFIXED = frozenset({"DATA", "FLAGS", "LOGS", "CONFIG", "BACKUPS"})
"""Names too common to be read without the prefix."""

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

OURS = ("ADMIN_TOKEN", "METRICS_TOKEN", "JWT_SECRET", "API_KEYS", "ALERT_WEBHOOK_URL", "ALERT_WEBHOOK_SECRET", "ALERT_URLS")
"""Secrets that are the control plane's under whatever name. A plain DATABASE_URL is as likely the team's own, which its programs need."""


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _words(value: object) -> object:
    """A comma-separated string as a list; lists pass."""
    return [word.strip() for word in value.split(",") if word.strip()] if isinstance(value, str) else value


def is_http_url(text: str) -> bool:
    """Is it an http(s) address with a host and, if any, a possible port?"""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and text.isascii() and text.isprintable()
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL, as a browser names them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


Folder = Annotated[Path, AfterValidator(_absolute)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, le=31 * 86_400)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


CostCategory = Literal["workers", "infra", "ai", "fees"]


def _guarded() -> list[CostCategory]:
    """What a team can control; fees grow with sales."""
    return ["workers", "infra", "ai"]


class Settings(BaseModel):
    """Every setting. A field's name in capitals is the variable's name; `description` is its documentation."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, populate_by_name=True)

    # Where
    host: str = Field("127.0.0.1", description="Address to listen on. Anything but loopback needs an explicit ADMIN_TOKEN.")
    port: int = Field(8000, ge=1, le=65_535, description="Port to listen on.")
    base_path: str = Field("", description="URL prefix behind a proxy, such as `/levqor`; no slash at the end.")
    web_workers: int = Field(1, ge=1, le=64, description="Web processes. Above 1 the autopilot runs in a process of its own.")
    data: Folder = Field(Path("data"), description="Folder for the database, the embedded store and the token. Read as LEVQOR_DATA only.")
    flags: Folder = Field(Path("config/flags.json"), description="The flags file. Read as LEVQOR_FLAGS only.")
    logs: Folder = Field(Path("logs"), description="Folder for logs. Read as LEVQOR_LOGS only.")
    redis_url: SecretStr | None = Field(None, description="Redis or Valkey for telemetry and jobs. Unset: an embedded one is started.")
    broker_url: SecretStr | None = Field(None, description="Redis of the team's queues, where it is not REDIS_URL.")
    rq_key_prefix: str = Field(
        "rq",
        max_length=100,
        pattern=r"^[A-Za-z0-9_.:{}-]+$",
        description="Prefix of RQ's keys in the broker, as the team's RQ 3 workers have it in their own RQ_KEY_PREFIX.",
    )
    database_url: SecretStr | None = Field(None, description="PostgreSQL URL. Unset: SQLite in LEVQOR_DATA.")

    # Who may
    admin_token: SecretStr | None = Field(None, min_length=8, description="Token of the admin endpoints. On loopback `up` makes one.")
    metrics_token: SecretStr | None = Field(None, min_length=8, description="Token for `/metrics` from beyond loopback.")
    jwt_secret: SecretStr | None = Field(
        None, min_length=16, description="Secret from which session keys are derived. On loopback `up` makes one."
    )
    api_keys: list[SecretStr] = Field(
        default_factory=list, description="Keys that may post jobs (`X-API-Key`), comma-separated. Unset: only loopback may."
    )
    ops_public: bool = Field(True, description="Beyond loopback, leave `dryrun`, forecast and uptime open to all.")

    session_hours: float = Field(12.0, gt=0, le=31 * 24, description="Signing in to the dashboard lasts this long (h).")
    dashboard_origin: list[str] = Field(
        default_factory=list,
        max_length=20,
        description="Origins of dashboards on hosts of their own that may use the API, such as `https://app.example.com`; comma-separated.",
    )

    # Limits
    body_max_bytes: int = Field(1_000_000, ge=1_000, le=1_000_000_000, description="Largest request body (bytes).")
    header_max_bytes: int = Field(32_768, ge=1_024, le=1_048_576, description="Largest request head (bytes).")
    head_timeout_s: Seconds = Field(10.0, description="A request's head must arrive within this (s).")
    body_timeout_s: Seconds = Field(60.0, description="A request's body must arrive within this (s).")
    rate_limit_per_s: float = Field(100.0, gt=0, le=1e6, description="Requests per second and address; loopback and admin are excepted.")

    # Jobs
    intake_enabled: bool = Field(True, description="Serve `/api/v1/intake`. An installation beside somebody's own app leaves it out.")
    queues: list[str] = Field(
        default_factory=lambda: ["default"], min_length=1, description="The fleet's queues in order of priority, comma-separated."
    )
    handlers: dict[str, str] = Field(
        default_factory=dict, description="Handlers by import path: `name=package.module:function`, comma-separated."
    )
    job_max_attempts: int = Field(3, ge=1, le=100, description="Attempts before a job is dead.")
    job_backoff: list[float] = Field(
        default_factory=lambda: [1.0, 5.0],
        min_length=1,
        description="Waits before the next attempts (s), comma-separated; the last repeats.",
    )
    job_max_losses: int = Field(3, ge=0, le=100, description="How often a job may lose its worker before it is dead.")
    job_timeout_s: Seconds = Field(3_600.0, description="A job that runs longer is ended (s).")
    job_keep_s: Seconds = Field(86_400.0, description="A finished job's status is kept this long (s).")

    # Fleet
    fleet_kind: Literal["agent", "slots", "external", "none"] = Field(
        "agent",
        description="Who owns the workers: `agent` (Levqor spawns them), `slots` (a process manager starts and stops them by command), "
        "`external` (KEDA and others read the target) or `none` (advice only).",
    )
    slots_unit: str | None = Field(
        None,
        max_length=200,
        description="Kind `slots`: the systemd unit of one worker, such as `rq-worker@{slot}.service`; the commands follow from it.",
    )
    slots_user: bool = Field(False, description="SLOTS_UNIT is a unit of this user's own systemd (`systemctl --user`).")
    slots_start: str | None = Field(None, max_length=1_000, description="Kind `slots`: command that starts slot `{slot}`; no shell.")
    slots_stop: str | None = Field(
        None, max_length=1_000, description="Kind `slots`: command that stops slot `{slot}` and lets its job finish; no shell."
    )
    slots_list: str | None = Field(
        None,
        max_length=1_000,
        description="Kind `slots`: command that prints the running slots, one a line: its number, its process id and, if known, its state. "
        "By count: one line for each running worker.",
    )
    slots_scale: str | None = Field(
        None,
        max_length=1_000,
        description="Kind `slots`, by count instead: command that runs `{count}` workers, such as "
        "`docker compose up -d --no-deps --no-recreate --scale worker={count} worker`.",
    )
    hirefire_token: SecretStr | None = Field(
        None, min_length=8, description="Token in the path of the HireFire route. Unset: the route is off."
    )
    workers_min: int = Field(1, ge=0, le=1_000, description="The target never goes below this.")
    workers_max: int = Field(4, ge=1, le=1_000, description="The target never goes above this.")
    scale_rule: Literal["threshold", "wait"] = Field(
        "threshold", description="The scaling rule: `threshold` (P95 and depth) or `wait` (jobs in the system and their predicted wait)."
    )
    wait_slo_s: Seconds = Field(5.0, description="Rule `wait`: a job should begin within this (s).")
    worker_start_s: float = Field(2.0, ge=0, le=3_600, description="Rule `wait`: a new worker takes its first job after this (s).")
    scale_up_p95_ms: float = Field(150.0, gt=0, le=3_600_000, description="A P95 above this asks for a step up (ms).")
    scale_up_depth: Count = Field(10, description="More waiting jobs than this ask for a step up.")
    scale_down_p95_ms: float = Field(40.0, gt=0, le=3_600_000, description="A P95 below this, with an empty queue, is calm (ms).")
    scale_down_quiet_s: Seconds = Field(600.0, description="Calm for this long without a break allows a step down (s).")
    p95_min_requests: int = Field(20, ge=1, le=1_000_000, description="With fewer requests in its window P95 has no vote upwards.")
    tick_s: float = Field(2.0, ge=0.1, le=60, description="The loop's period (s).")
    start_timeout_s: Seconds = Field(30.0, description="A worker counts as starting for at most this long (s).")
    drain_grace_s: Seconds = Field(
        120.0, description="A draining worker may finish its job for this long (s); then the job goes back to its queue."
    )
    manual_hold_s: Seconds = Field(3_600.0, description="A count set by hand, or outside Levqor, holds the autopilot for this long (s).")
    probe_period_s: float = Field(5.0, gt=0, le=15, description="Outside-in probes run this often (s).")

    # Money
    daily_spend_limit: Decimal | None = Field(
        None, gt=0, le=Decimal("1e9"), description="Money per day above 90 % of which no step up is made. Unset: no guard."
    )
    worker_hourly_cost: Decimal = Field(Decimal(0), ge=0, le=Decimal("1e6"), description="Price of one worker for one hour.")

    stripe_secret_key: SecretStr | None = Field(None, description="Stripe's secret key; a restricted one that reads balances is enough.")
    stripe_api_base: str = Field("https://api.stripe.com", description="Where Stripe's API is; for proxies and tests.")
    openai_admin_key: SecretStr | None = Field(None, description="OpenAI's admin key, which reads the organisation's costs.")
    openai_api_base: str = Field("https://api.openai.com/v1", description="Where OpenAI's API is; for proxies and tests.")
    cost_constants: dict[str, Decimal] = Field(
        default_factory=dict, description="Fixed costs per month, `name=amount`, comma-separated: `replit=20,redis=7.50,vercel=20`."
    )
    cost_currency: str = Field("usd", pattern=r"^[a-z]{3}$", description="The reporting currency; sums in others are shown apart.")
    cost_method: Literal["auto", "linear", "level"] = Field("auto", description="How the next 30 days are forecast.")
    guard_categories: list[CostCategory] = Field(
        default_factory=_guarded,
        description="Categories of cost that the spend guard counts, comma-separated.",
    )
    budget_period: Literal["day", "month"] = Field(
        "month",
        description="What budget alerts count: a UTC day against the limit, or a calendar month against the limit times its days.",
    )
    budget_alerts: list[int] = Field(
        default_factory=lambda: [50, 80, 90, 100], max_length=20, description="Percent of the budget that are told, once a period each."
    )

    # Activity
    analytics_tz: str = Field("UTC", description="Time zone that activity's days are counted in; one for the whole installation.")
    analytics_database_url: SecretStr | None = Field(
        None, description="The team's own database, from which users and events are pulled over a read-only connection."
    )
    analytics_users_sql: str | None = Field(
        None, min_length=1, description="SELECT of `id`, `created_at` and, if there is one, `referral_source`; may hold `:since`."
    )
    analytics_events_sql: str | None = Field(None, min_length=1, description="SELECT of `id`, `user_id` and `ts`, newer than `:since`.")
    events_body_max_bytes: int = Field(
        16_000_000, ge=1_000, le=1_000_000_000, description="Largest body of `/api/v1/events`, also once unpacked (bytes)."
    )

    # Schedule
    summary_tz: str = Field("Europe/London", description="Time zone of the daily summary's 09:00.")
    schedule_off: list[str] = Field(
        default_factory=list, description="Scheduled jobs that are left out, by id, comma-separated; `*` leaves out all."
    )
    smtp_url: SecretStr | None = Field(
        None, description="Mail server for summaries: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://...:465`."
    )
    mail_from: str | None = Field(None, min_length=3, description="Sender of summaries.")
    mail_to: list[str] = Field(default_factory=list, max_length=50, description="Whom summaries are mailed to, comma-separated.")
    summary_urls: list[SecretStr] = Field(
        default_factory=list, max_length=20, description="Apprise mail URLs for summaries, beside or instead of SMTP_URL; comma-separated."
    )

    # Backups
    backups: Folder | None = Field(None, description="Folder for backups. Unset: `backups` in LEVQOR_DATA. Read as LEVQOR_BACKUPS only.")
    backup_keep_daily: int = Field(7, ge=1, le=365, description="Backups of this many newest days are kept.")
    backup_keep_weekly: int = Field(4, ge=0, le=520, description="Beyond these, the newest backups of this many weeks are kept.")

    # Objectives
    slo_p99_ms: float = Field(200.0, gt=0, le=3_600_000, description="Objective: P99 below this (ms).")
    slo_error_rate: float = Field(0.005, gt=0, lt=1, description="Objective: error rate below this (0..1).")
    slo_availability: float = Field(0.999, gt=0, lt=1, description="Objective: availability above this (0..1).")
    slo_windows_s: list[int] = Field(
        default_factory=lambda: [60, 300],
        min_length=1,
        max_length=4,
        description="Widths of the checks' windows (s), comma-separated; multiples of 5.",
    )
    slo_evidence: Literal["significant", "literal"] = Field(
        "significant", description="When a check is a breach: a `significant` violation, or any (`literal`)."
    )

    # Dead letters
    redrive_allow: list[str] = Field(
        default_factory=lambda: ["*"],
        description="Handlers whose dead letters may be flushed without a person, comma-separated. `*`: all of Levqor's own jobs. "
        "An attached app's functions are named one by one (`app.tasks.send`).",
    )
    flushes_max: int = Field(3, ge=1, le=100, description="A job that is dead again after this many flushes is quarantined.")
    flush_canary: int = Field(3, ge=1, le=50, description="Dead letters of each kind flushed first; the others wait for their fate.")
    flush_batch: int = Field(50, ge=1, le=500, description="Flushed dead letters under way at one time.")
    flush_pause_s: float = Field(1.0, ge=0, le=60, description="Wait between two batches of a flush (s).")

    # Recovery
    recovery_cooldown_s: Seconds = Field(1_800.0, description="From one automatic recovery to the next (s).")
    recovery_attempts: int = Field(3, ge=1, le=100, description="Automatic recoveries of one incident; then a person is asked.")
    recoveries_per_hour: int = Field(3, ge=1, le=1_000, description="Automatic recoveries in any hour.")
    recoveries_per_day: int = Field(7, ge=1, le=10_000, description="Automatic recoveries in any 24 hours.")
    recovery_disarm_after: int = Field(
        2, ge=1, le=100, description="Automatic recoveries in a row without effect that end all of them until `levqor rearm`."
    )
    own_action_grace_s: float = Field(
        120.0,
        ge=0,
        le=86_400,
        description="Nothing automatic recovers so soon after an act of Levqor's own: a drain, a restart (s).",
    )
    recovery_verify_s: Seconds = Field(300.0, description="A recovery that has not brought the objectives back by then is escalated (s).")
    incident_quiet_s: Seconds = Field(600.0, description="An incident closes after so long within the objectives (s).")
    app_reload_command: str | None = Field(
        None, min_length=1, description="Command that reloads the attached app in a recovery; no shell. Unset: it is not ours to reload."
    )
    app_ready_url: str | None = Field(None, description="Answers 200 once the reloaded app is ready, such as its `/readyz`.")
    app_reload_timeout_s: Seconds = Field(60.0, description="The reload and its readiness may take this long together (s).")

    # Alerts
    telegram_bot_token: SecretStr | None = Field(None, description="Token of the Telegram bot that tells alerts.")
    telegram_chat_id: SecretStr | None = Field(None, description="The chat that it tells them to. Both are needed.")
    telegram_api_base: str = Field("https://api.telegram.org", description="Where Telegram's API is; for proxies and tests.")
    alert_webhook_url: SecretStr | None = Field(None, description="URL that alerts are posted to, signed (Standard Webhooks).")
    alert_webhook_secret: SecretStr | None = Field(
        None, description="Secret that signs them: `whsec_` and the base64 of 24 to 64 bytes. Needed with ALERT_WEBHOOK_URL."
    )
    alert_urls: list[SecretStr] = Field(
        default_factory=list,
        max_length=20,
        description="Apprise URLs (`mailto://...` and others), comma-separated. Need `levqor[alerts]`.",
    )

    # Talk
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_keep_days: int = Field(90, ge=1, le=3_650, description="Rotated logs are removed after so many days.")

    @field_validator(
        "queues",
        "api_keys",
        "job_backoff",
        "slo_windows_s",
        "redrive_allow",
        "guard_categories",
        "budget_alerts",
        "schedule_off",
        "mail_to",
        "dashboard_origin",
        mode="before",
    )
    @classmethod
    def _split_words(cls, value: object) -> object:
        return _words(value)

    @field_validator("alert_urls", "summary_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: object) -> object:
        # A URL may hold a comma itself: only one before the next scheme separates.
        return [url for url in re.split(r"[\s,]+(?=\w+://)", value.strip(" \t\n,")) if url] if isinstance(value, str) else value

    @field_validator("alert_urls", "summary_urls")
    @classmethod
    def _check_urls(cls, value: list[SecretStr]) -> list[SecretStr]:
        if any(not re.match(r"\w+://", url.get_secret_value()) for url in value):
            raise ValueError("expected URLs such as mailto://user:password@host, comma-separated")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_mail_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_server(value.get_secret_value())
        return value

    @field_validator("mail_from", "mail_to")
    @classmethod
    def _check_mailboxes(cls, value: str | list[str] | None) -> str | list[str] | None:
        for text in [value] if isinstance(value, str) else value or []:
            parse_mailbox(text)
        return value

    @field_validator("app_reload_command")
    @classmethod
    def _check_command(cls, value: str | None) -> str | None:
        try:
            is_good = value is None or bool(shlex.split(value))
        except ValueError:
            is_good = False
        if not is_good:
            raise ValueError("expected a command with balanced quotes, such as systemctl reload shop")
        return value

    @field_validator("app_ready_url")
    @classmethod
    def _check_ready_url(cls, value: str | None) -> str | None:
        if value is not None and not is_http_url(value):
            raise ValueError("expected an http(s) URL")
        return value

    @field_validator("rq_key_prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if value == "levqor" or value.startswith("levqor:"):
            raise ValueError("expected another one than `levqor`: keys that begin so are Levqor's own, and `levqor detach` removes them")
        return value

    @field_validator("hirefire_token")
    @classmethod
    def _check_path_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.fullmatch(r"[\w.~-]+", value.get_secret_value(), re.ASCII):
            raise ValueError("expected letters, digits and -._~ alone: it stands in a path")
        return value

    @field_validator("slots_unit")
    @classmethod
    def _check_unit(cls, value: str | None) -> str | None:
        is_name = value is None or re.fullmatch(r"[\w.@:\\-]+", value.replace("{slot}", "1", 1), re.ASCII)
        if not is_name or (value is not None and "{slot}" not in value):
            raise ValueError("expected the name of one unit with {slot} in it once, such as rq-worker@{slot}.service")
        return value

    @field_validator("slots_start", "slots_stop", "slots_list", "slots_scale")
    @classmethod
    def _check_slot_command(cls, value: str | None, info: ValidationInfo) -> str | None:
        placeholder = {"slots_list": None, "slots_scale": "{count}"}.get(info.field_name or "", "{slot}")
        if value is None:
            return None
        try:
            words = shlex.split(value)
        except ValueError:
            raise ValueError("expected a command as a shell would take it; a quotation mark is open") from None
        if not words or (placeholder is not None and not any(placeholder in word for word in words)):
            raise ValueError(f"expected a command with {placeholder} in it" if placeholder else "expected a command")
        return value

    @field_validator("telegram_api_base", "stripe_api_base", "openai_api_base")
    @classmethod
    def _check_api_base(cls, value: str) -> str:
        if not is_http_url(value):
            raise ValueError("expected an http(s) URL")
        return value

    @field_validator("dashboard_origin")
    @classmethod
    def _check_origins(cls, value: list[str]) -> list[str]:
        if any(not is_http_url(origin) or origin != origin_of(origin) for origin in value):
            raise ValueError("expected origins such as https://app.example.com: scheme and host, no path")
        return value

    @field_validator("alert_webhook_url")
    @classmethod
    def _check_webhook_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not is_http_url(value.get_secret_value()):
            raise ValueError("expected an http(s) URL")
        return value

    @field_validator("alert_webhook_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            signing_key(value.get_secret_value())
        return value

    @field_validator("handlers", "cost_constants", mode="before")
    @classmethod
    def _split_pairs(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        pairs = [[part.strip() for part in word.split("=", 1)] for word in value.split(",") if word.strip()]
        if any(len(pair) != 2 for pair in pairs):
            example = "name=amount" if info.field_name == "cost_constants" else "name=package.module:function"
            raise ValueError(f"expected {example}, comma-separated")
        return dict(pairs)

    @field_validator("cost_constants")
    @classmethod
    def _check_constants(cls, value: dict[str, Decimal]) -> dict[str, Decimal]:
        if any(not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,49}", name) or not 0 <= amount <= Decimal("1e9") for name, amount in value.items()):
            raise ValueError("expected amounts per month of at least 0, under names of letters and digits")
        return value

    @field_validator("budget_alerts")
    @classmethod
    def _check_percents(cls, value: list[int]) -> list[int]:
        if any(not 1 <= percent <= 1_000 for percent in value) or len(set(value)) != len(value):
            raise ValueError("expected different percents from 1 to 1000")
        return value

    @field_validator("analytics_tz", "summary_tz")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("expected a time zone such as Europe/London") from None
        return value

    @field_validator("schedule_off")
    @classmethod
    def _check_jobs(cls, value: list[str]) -> list[str]:
        could_be = [job for job in JOB_IDS if job != WATCHDOG]
        if any(job not in (*could_be, EVERYTHING) for job in value):
            raise ValueError(f"expected ids of {', '.join(could_be)}, or * for all of them")
        return value

    @field_validator("handlers")
    @classmethod
    def _check_paths(cls, value: dict[str, str]) -> dict[str, str]:
        for name, path in value.items():
            module, _, function = path.partition(":")
            if not (name.isidentifier() and module and function):
                raise ValueError(f"expected name=package.module:function, got {name}={path}")
        return value

    @field_validator("job_backoff")
    @classmethod
    def _check_backoff(cls, value: list[float]) -> list[float]:
        if any(not 0 <= wait <= 86_400 for wait in value):
            raise ValueError("each wait must be between 0 and 86400 s")
        return value

    @field_validator("slo_windows_s")
    @classmethod
    def _check_windows(cls, value: list[int]) -> list[int]:
        if any(width % 5 or not 5 <= width <= 600 for width in value) or len(set(value)) != len(value):
            raise ValueError("expected different multiples of 5 from 5 to 600")
        return value

    @field_validator("base_path")
    @classmethod
    def _check_base_path(cls, value: str) -> str:
        if value and (not value.startswith("/") or value.endswith("/")):
            raise ValueError("expected a path such as /levqor, with a slash at its start and none at its end")
        return value

    @field_validator("queues")
    @classmethod
    def _check_queues(cls, value: list[str]) -> list[str]:
        if any(len(name) > 100 or not name.isprintable() for name in value) or len(set(value)) != len(value):
            raise ValueError("expected different names of at most 100 printable characters")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> "Settings":
        if self.workers_min > self.workers_max:
            raise ValueError("WORKERS_MIN must not be above WORKERS_MAX")
        if self.scale_down_p95_ms > self.scale_up_p95_ms:
            raise ValueError("SCALE_DOWN_P95_MS must not be above SCALE_UP_P95_MS")
        if self.alert_webhook_url is not None and self.alert_webhook_secret is None:
            raise ValueError("ALERT_WEBHOOK_URL needs ALERT_WEBHOOK_SECRET: whsec_ and the base64 of 24 to 64 random bytes")
        if (self.analytics_users_sql or self.analytics_events_sql) and self.analytics_database_url is None:
            raise ValueError("ANALYTICS_USERS_SQL and ANALYTICS_EVENTS_SQL need ANALYTICS_DATABASE_URL, the database that they read")
        if self.smtp_url is not None and not (self.mail_from and self.mail_to):
            raise ValueError("SMTP_URL needs MAIL_FROM and MAIL_TO")
        if (wrong := self._wrong_slots) is not None:
            raise ValueError(wrong)
        if not self.is_loopback and self.admin_token is None:
            raise ValueError(f"HOST {self.host} is public: set ADMIN_TOKEN, or listen on 127.0.0.1")
        return self

    @property
    def late_start(self) -> str | None:
        """Why rule `wait` cannot help in time, and keeps workers ready instead; None where it can, or under another rule."""
        if self.scale_rule != "wait" or self.worker_start_s <= self.wait_slo_s:
            return None
        return f"a worker starts in {self.worker_start_s:g} s, longer than a job may wait ({self.wait_slo_s:g} s): a step up comes too late"

    @property
    def _wrong_slots(self) -> str | None:
        """What is wrong with the SLOTS_* settings together, or None."""
        each = {"SLOTS_START": self.slots_start, "SLOTS_STOP": self.slots_stop, "SLOTS_LIST": self.slots_list}
        firsts = {"SLOTS_UNIT": self.slots_unit, "SLOTS_START": self.slots_start, "SLOTS_SCALE": self.slots_scale}
        ways = [name for name, value in firsts.items() if value is not None]
        if self.fleet_kind != "slots":
            return None
        if len(ways) > 1:
            return f"{' and '.join(ways)} are different ways to scale: set one of them"
        if not ways:
            return "FLEET_KIND=slots needs SLOTS_UNIT, or SLOTS_START with SLOTS_STOP and SLOTS_LIST, or SLOTS_SCALE"
        missing = [name for name, value in each.items() if value is None]
        if ways == ["SLOTS_START"] and missing:
            return f"SLOTS_START needs {' and '.join(missing)}"
        used = {"SLOTS_START": set(each), "SLOTS_SCALE": {"SLOTS_LIST"}}.get(ways[0], set())
        idle = [name for name, value in each.items() if value is not None and name not in used]
        return f"{ways[0]} makes no use of {' and '.join(idle)}: unset {'it' if len(idle) == 1 else 'them'}" if idle else None

    @property
    def is_loopback(self) -> bool:
        """Does the service listen on loopback only?"""
        return self.host in LOOPBACK

    @property
    def rules(self) -> ScalingRules:
        return ScalingRules(
            up_p95_ms=self.scale_up_p95_ms,
            up_depth=self.scale_up_depth,
            down_p95_ms=self.scale_down_p95_ms,
            down_quiet_s=self.scale_down_quiet_s,
            min_workers=self.workers_min,
            max_workers=self.workers_max,
            p95_min_requests=self.p95_min_requests,
            daily_spend_limit=self.daily_spend_limit,
            worker_hourly_cost=self.worker_hourly_cost,
            guard_categories=tuple(self.guard_categories),
            name=self.scale_rule,
            wait_slo_s=self.wait_slo_s,
            worker_start_s=self.worker_start_s,
        )

    @property
    def recovery_limits(self) -> RecoveryLimits:
        return RecoveryLimits(
            cooldown_s=self.recovery_cooldown_s,
            attempts=self.recovery_attempts,
            per_hour=self.recoveries_per_hour,
            per_day=self.recoveries_per_day,
            disarm_after=self.recovery_disarm_after,
            own_action_grace_s=self.own_action_grace_s,
        )

    @property
    def backup_folder(self) -> Path:
        return self.backups or self.data / "backups"

    @property
    def local_url(self) -> str:
        """Where a client on this machine finds the service."""
        host = self.host if self.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 (compared, not bound)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{self.base_path}"

    @property
    def token_file(self) -> Path:
        return self.data / "admin_token"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The settings in force and, by field name, where each value came from."""

    settings: Settings
    sources: Mapping[str, str]


def load(options: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Configuration:
    """Read all sources. Raises SettingsError that names every wrong value, its source and what is expected."""
    environ = os.environ if environ is None else environ
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    layers = (
        _from_file(environ, folder or Path.cwd(), problems),
        _from_environment(environ, problems),
        {name: (value, "command line") for name, value in (options or {}).items() if value is not None},
    )
    for layer in layers:
        for name, (value, source) in layer.items():
            values[name], sources[name] = value, source
    try:
        settings = Settings(**values)
    except ValidationError as error:
        problems += [_problem(detail, sources) for detail in error.errors(include_input=False, include_url=False)]
    if problems:
        raise SettingsError(problems)
    return Configuration(settings, {name: sources.get(name, "default") for name in Settings.model_fields})


def inherited_environment() -> dict[str, str]:
    """Our own environment, for a program that reads settings of its own from it, such as `pg_dump`."""
    return dict(os.environ)


def secret_variables() -> frozenset[str]:
    """The environment's names of Levqor's secrets: each with its prefix, and those that are nobody else's without it."""
    secret = [f"{PREFIX}{field.upper()}" for field, info in Settings.model_fields.items() if _is_secret(info)]
    return frozenset(f"{name}{suffix}" for name in (*OURS, *secret) for suffix in ("", "_FILE"))


def foreign_environment() -> dict[str, str]:
    """Our own environment without Levqor's secrets, for a command of the team's; unmarked, or what it leaves were ours to end."""
    hidden = {*secret_variables(), PROCESS_MARK}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def describe(configuration: Configuration) -> dict[str, dict[str, Any]]:
    """Every setting with its value (secrets masked), source and meaning."""
    fields = Settings.model_fields
    values = configuration.settings.model_dump()
    return {
        name.upper(): {"value": _shown(values[name]), "source": configuration.sources[name], "description": fields[name].description}
        for name in fields
    }


def _shown(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return "********"
    if isinstance(value, list):
        return [_shown(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float | str | dict) else str(value)


Layer = dict[str, tuple[Any, str]]


def _from_environment(environ: Mapping[str, str], problems: list[Problem]) -> Layer:
    found: Layer = {}
    for field, info in Settings.model_fields.items():
        name = field.upper()
        for variable in (PREFIX + name,) if name in ONLY_PREFIXED else (PREFIX + name, name):
            if environ.get(variable, "") != "":
                found[field] = (environ[variable], variable)
                break
            if _is_secret(info) and environ.get(f"{variable}_FILE"):
                secret = _read_secret(f"{variable}_FILE", Path(environ[f"{variable}_FILE"]), problems)
                if secret is not None:
                    found[field] = (secret, f"{variable}_FILE")
                break
    return found


def _read_secret(variable: str, path: Path, problems: list[Problem]) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(variable, "environment", f"expected a readable file: {error}"))
        return None


def _from_file(environ: Mapping[str, str], folder: Path, problems: list[Problem]) -> Layer:
    path = Path(environ.get(f"{PREFIX}CONFIG") or folder / CONFIG_FILE)
    if not path.exists():
        if environ.get(f"{PREFIX}CONFIG"):
            problems.append(Problem(f"{PREFIX}CONFIG", "environment", f"{path} does not exist"))
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(Problem(str(path), "file", f"expected readable TOML: {error}"))
        return {}
    unknown = sorted(set(table) - set(Settings.model_fields))
    problems += [Problem(name, str(path), "no such setting") for name in unknown]
    return {name: (value, str(path)) for name, value in table.items() if name in Settings.model_fields}


def _is_secret(info: FieldInfo) -> bool:
    return "SecretStr" in str(info.annotation)


def _problem(detail: Any, sources: Mapping[str, str]) -> Problem:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    message = str(detail["msg"]).removeprefix("Value error, ")
    return Problem(field.upper() or "settings", sources.get(field, "together"), message)
