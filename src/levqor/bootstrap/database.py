"""Levqor's database and its flags file."""

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager

from levqor.domain.errors import LevqorError
from levqor.host import SystemClock
from levqor.settings import Configuration, Settings
from levqor.store.database import Database, database_url
from levqor.store.flags import FlagsFile, flag_rows


def version() -> str:
    """The installed version of Levqor."""
    return importlib.metadata.version("levqor")


def open_database(settings: Settings) -> Database:
    """The installation's database. Raises UsageError for a URL that is none."""
    url = None if settings.database_url is None else settings.database_url.get_secret_value()
    return Database(database_url(url, settings.data))


@contextmanager
def database_alone(settings: Settings) -> Iterator[Database]:
    """The database for a command that needs no running service; one that is not there yet is made. Raises DatabaseDown, SchemaError."""
    database = open_database(settings)
    try:
        if settings.database_url is None:
            settings.data.mkdir(parents=True, exist_ok=True)
        if database.is_untouched():
            database.migrate()
        database.check()
        yield database
    finally:
        database.close()


def open_flags(settings: Settings) -> FlagsFile:
    """The flags file, with the bounds that a worker count has."""
    return FlagsFile(settings.flags, settings.workers_min, settings.workers_max)


def migrate(configuration: Configuration) -> None:
    """Bring the database's schema to this version, and take over the flags file on a first start. Raises DatabaseDown, SchemaError."""
    settings = configuration.settings
    database = open_database(settings)
    try:
        database.migrate()
        with database.write() as connection:
            if not flag_rows(connection):
                open_flags(settings).sync(connection, SystemClock().now())
    finally:
        database.close()


def database_check(configuration: Configuration) -> tuple[bool, str]:
    """Does the database answer with this version's schema? And what it says."""
    try:
        database = open_database(configuration.settings)
        revision = database.check()
    except LevqorError as error:
        return False, str(error)
    database.close()
    return True, f"{database.label}, schema {revision}"


def drop_everything(configuration: Configuration) -> list[str]:
    """Remove every table of Levqor's own; their names. Raises DatabaseDown."""
    database = open_database(configuration.settings)
    try:
        return database.drop_everything()
    finally:
        database.close()
