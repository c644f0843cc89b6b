"""A process that makes backups until it is killed, or until a file may grow no further: `FOLDER loop|full`."""

import resource
import sys
from dataclasses import replace
from pathlib import Path

from tests.integration.backing_up import place_of

from levqor.domain.backups import BackupFailed
from levqor.store.database import Database, database_url


def run(folder: Path, what: str) -> int:
    place = place_of(Database(database_url(None, folder)), folder)
    if what == "full":
        place.parts.keeper.size()
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))  # Python ignores SIGXFSZ: writes fail
        try:
            place.desk.create()
        except BackupFailed as error:
            print(error)  # noqa: T201
            return 1
        return 0
    print("ready", flush=True)  # noqa: T201
    keep_two = replace(place, parts=replace(place.parts, daily=1, weekly=1))
    while True:
        keep_two.clock.advance(3_600)
        keep_two.desk.cycle()


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2]))
