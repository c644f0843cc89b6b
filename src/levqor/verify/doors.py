"""What is only on this machine: the schema, the modules, the files that operators type. SKIP against a remote URL."""

import importlib
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from levqor.store.database import Database
from levqor.verify.checks import Check, NotApplicable, NotAsExpected, Stage, must

ROOT = Path(__file__).resolve().parents[3]
"""The checkout, where this is one."""

HELP_WITHIN_S = 30.0
TAIL = 100
"""Characters of a traceback that are told: its last line."""
REMOTE = "it is on another machine"


def own(database: Database | None, *, is_local: bool) -> tuple[Stage, ...]:
    """Three stages, in the order of the contract. `database` None: there is none yet."""
    found = doors(ROOT)
    limit_s = HELP_WITHIN_S * (1 + len(found))

    def here(check: Check) -> Check:
        return check if is_local else Check(check.id, check.expected, _remote, check.limit_s)

    schema = Check("schema", "the database has this version's schema", lambda: _schema(database), 30.0)
    imports = Check("monitors", "every module of levqor.monitors can be imported", _imports, 60.0)
    answers = Check("scripts", "every script and monitor door answers --help", lambda: _help(found), limit_s)
    return tuple(Stage(check.id, (here(check),)) for check in (schema, imports, answers))


def _remote() -> str:
    raise NotApplicable(REMOTE)


def _schema(database: Database | None) -> str:
    must(database is not None, "there is no database yet: `levqor up` makes it")
    return f"schema {database.check()}" if database is not None else ""


def _imports() -> str:
    import levqor.monitors

    names = [module.name for module in pkgutil.iter_modules(levqor.monitors.__path__, "levqor.monitors.")]
    for name in names:
        importlib.import_module(name)
    return f"{len(names)} modules"


def doors(root: Path) -> list[Path]:
    """The files at the root of a checkout that hand over to `levqor`; an installed wheel has none."""
    if not (root / "run.py").is_file():
        return []
    folders = [*root.glob("monitors/*.py"), *root.glob("scripts/*.py"), *root.glob("scripts/*.sh"), *root.glob("*.sh")]
    return [root / "run.py", *sorted(folders)]


def _help(found: list[Path]) -> str:
    if not found:
        raise NotApplicable("an installed wheel has no doors; `levqor` is on PATH")
    python, shell = [door for door in found if door.suffix == ".py"], [door for door in found if door.suffix == ".sh"]
    problems = [*_python_problems(python), *(problem for door in shell if (problem := _shell_problem(door)))]
    must(not problems, "; ".join(problems))
    return f"{len(found)} doors"


def _python_problems(found: list[Path]) -> Iterator[str]:
    """All in one process: an interpreter for each would take longer than everything else together."""
    answer = _run([sys.executable, "-m", "levqor.verify.help_of_doors", *map(str, found)])
    lines = [json.loads(line) for line in answer.stdout.splitlines()]
    yield from (problem for line in lines if (problem := _problem(Path(line["door"]).name, line["code"], line["said"])))
    if len(lines) < len(found):
        yield f"{found[len(lines)].name} --help broke off: {answer.stderr.strip()[-TAIL:]}"


def _shell_problem(door: Path) -> str | None:
    answer = _run([str(door), "--help"])
    return _problem(door.name, answer.returncode, answer.stdout)


def _run(command: list[str]) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=HELP_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotAsExpected(f"{Path(command[-1]).name} cannot be run: {error}") from None


def _problem(name: str, code: int, said: str) -> str | None:
    """What is wrong with one door's answer; None where nothing is."""
    if code != 0:
        return f"{name} --help ends with {code}"
    return None if "Usage: levqor" in said else f"{name} --help says nothing of its usage"
