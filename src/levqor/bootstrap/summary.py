"""The daily and weekly summary, and the channels that it goes through."""

from collections.abc import Iterator
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from levqor.alerts.apprise import AppriseLetters
from levqor.alerts.letters.render import render
from levqor.alerts.mail import SmtpMail
from levqor.bootstrap.backups import backup_desk
from levqor.bootstrap.costs import cost_desk
from levqor.bootstrap.database import database_alone
from levqor.bootstrap.incidents import objectives_of
from levqor.bootstrap.processes import is_surely_gone
from levqor.bootstrap.retention import retention_desk
from levqor.domain.fleet import FleetKind
from levqor.host import ProcessIdentity, SystemClock
from levqor.monitors.summary import SummaryDesk, SummaryParts
from levqor.monitors.summary_reading import Sources
from levqor.policies.mail import parse_mailbox, parse_server
from levqor.ports import Letters
from levqor.settings import Configuration, Settings


def summary_channels(settings: Settings) -> list[Letters]:
    """Every channel for summaries that is configured; nothing is opened."""
    channels: list[Letters] = []
    if settings.smtp_url is not None and settings.mail_from is not None:
        recipients = [parse_mailbox(text) for text in settings.mail_to]
        channels.append(SmtpMail(parse_server(settings.smtp_url.get_secret_value()), parse_mailbox(settings.mail_from), recipients))
    channels += [AppriseLetters(url.get_secret_value(), number) for number, url in enumerate(settings.summary_urls, 1)]
    return channels


@contextmanager
def summary_alone(configuration: Configuration) -> Iterator[SummaryDesk]:
    """For a command that needs no running service. Raises DatabaseDown, SchemaError."""
    settings, clock = configuration.settings, SystemClock()
    with database_alone(settings) as database:
        sources = Sources(
            database=database,
            objectives=objectives_of(settings),
            costs=cost_desk(settings, database, clock),
            retention=retention_desk(settings, database, clock),
            last_backup=backup_desk(settings, clock).latest,
            is_advice_only=FleetKind(settings.fleet_kind) is FleetKind.NONE,
        )
        holder, zone = str(ProcessIdentity.current()), ZoneInfo(settings.summary_tz)
        yield SummaryDesk(SummaryParts(sources, summary_channels(settings), render, clock, zone, holder, is_surely_gone))
