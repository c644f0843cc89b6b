"""`levqor import|export activity` and `levqor users|retention` on a real database, without a service (spec R5, L1)."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select
from tests.clock import ManualClock
from tests.waiting import eventually

from levqor.cli import main
from levqor.domain.retention import Mode, Span
from levqor.monitors.retention import RetentionDesk
from levqor.settings import Settings
from levqor.store.database import Database, database_url
from levqor.store.schema import activity, imports, users

DATA = Path(__file__).resolve().parents[1] / "data"
CDNOW = ("--delimiter", "space", "--columns", "master,customer,date,cds,dollars", "--map", "user_id=customer,ts=date")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    names = [field.upper() for field in Settings.model_fields]
    for name in list(os.environ):
        if name.removeprefix("LEVQOR_").removesuffix("_FILE") in names:
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEVQOR_DATA", str(tmp_path / "data"))


Ran = tuple[int, str, str]
Run = Callable[..., Ran]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*arguments: str) -> Ran:
        code = main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return ran


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Database]:
    """The SQLite file that the commands make."""
    with closing(Database(database_url(None, tmp_path / "data"))) as opened:
        yield opened


def user_days(database: Database) -> set[tuple[date, str | None]]:
    with database.read() as connection:
        rows = connection.execute(select(activity.c.day, users.c.external_id).join(users, users.c.id == activity.c.user_id))
        return {(row.day, row.external_id) for row in rows}


def imported(run: Run, *arguments: str) -> dict[str, Any]:
    code, out, err = run("import", "activity", *arguments, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_a_csv_with_other_names_for_its_columns(run: Run, scratch: Database, tmp_path: Path) -> None:
    """A column that is mapped to one field is not another field by its own name: `id` here is the person."""
    (tmp_path / "log.csv").write_text("date,id,note\n2026-01-01,ann,x\n2026-01-01,ann,y\n2026-01-02,bob,\n", encoding="utf-8")
    found = imported(run, "log.csv", "--map", "user_id=id,ts=date")
    assert (found["schema"], found["accepted"], found["wrong"], found["last_line"]) == (1, 3, 0, 4)
    assert user_days(scratch) == {(date(2026, 1, 1), "ann"), (date(2026, 1, 2), "bob")}


@pytest.mark.parametrize(
    ("written", "options", "expected"),
    [
        pytest.param("2026-01-01", (), "2026-01-01", id="a day"),
        pytest.param("20260101", (), "2026-01-01", id="a compact day"),
        pytest.param("2026-01-01 23:30:00", (), "2026-01-01", id="a naive time"),
        pytest.param("2026-01-01 23:30:00", ("--tz", "America/New_York"), "2026-01-02", id="a naive time of another zone"),
        pytest.param("2026-01-01T23:30:00-05:00", ("--tz", "Asia/Tokyo"), "2026-01-02", id="a time that names its offset"),
        pytest.param("1767225600", (), "2026-01-01", id="seconds"),
        pytest.param("1767225599999", (), "2025-12-31", id="milliseconds"),
        pytest.param("31/12/2025", ("--ts-format", "%d/%m/%Y"), "2025-12-31", id="a form of its own"),
    ],
)
def test_the_ways_in_which_a_time_is_written(
    run: Run, scratch: Database, tmp_path: Path, written: str, options: tuple[str, ...], expected: str
) -> None:
    (tmp_path / "log.csv").write_text(f"user_id,ts\nann,{written}\n", encoding="utf-8")
    assert imported(run, "log.csv", *options)["accepted"] == 1
    assert user_days(scratch) == {(date.fromisoformat(expected), "ann")}


def test_wrong_lines_are_named_and_the_others_taken(run: Run, scratch: Database, tmp_path: Path) -> None:
    rows = [b"user_id,ts,is_service\n", b"ann,2026-01-01,\n", b"bob,soon,\n", b"\xff,2026-01-01,\n", b"short\n", b"cy,2026-01-01,maybe\n"]
    rows += [b'"dee\n', b'dum",2026-01-01,no\n', b"eve,2026-01-02,no\n", b"x" * 1_500_000 + b"\n", b"robot,2026-01-02,yes\n"]
    (tmp_path / "log.csv").write_bytes(b"\xef\xbb\xbf" + b"".join(rows))
    code, out, err = run("import", "activity", "log.csv")
    assert (code, out) == (0, "took 3 events; 0 were known already; 6 lines are wrong\n")
    assert [line.split(":")[0] for line in err.splitlines()] == ["line 3", "line 4", "line 5", "line 6", "line 8", "line 10"]
    assert user_days(scratch) == {(date(2026, 1, 1), "ann"), (date(2026, 1, 2), "eve")}


def test_strict_stops_at_the_first_wrong_line_and_goes_on_there(run: Run, scratch: Database, tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    good = [json.dumps({"user_id": f"u{number}", "ts": "2026-01-01T00:00:00Z"}) for number in range(4)]
    log.write_text("\n".join([*good[:2], '{"user_id": "x"}', *good[2:]]) + "\n", encoding="utf-8")
    code, _out, err = run("import", "activity", "log.ndjson", "--strict")
    assert code == 1
    assert "stopped at line 3" in err
    assert len(user_days(scratch)) == 2
    log.write_text("\n".join([*good[:2], good[0], *good[2:]]) + "\n", encoding="utf-8")
    code, out, err = run("import", "activity", "log.ndjson", "--strict", "--json")
    assert code == 0
    assert "another file was here before" in err
    assert json.loads(out)["first_line"] == 1
    assert len(user_days(scratch)) == 4


def test_a_file_that_grew_goes_on_where_it_ended(run: Run, scratch: Database, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user_id,ts\nann,2026-01-01\n", encoding="utf-8")
    assert imported(run, "log.csv")["accepted"] == 1
    with log.open("a", encoding="utf-8") as file:
        file.write("bob,2026-01-02\n")
    found = imported(run, "log.csv")
    assert (found["first_line"], found["accepted"], found["duplicates"]) == (3, 1, 0)
    again = imported(run, "log.csv", "--from-start")
    assert (again["accepted"], again["duplicates"]) == (0, 2)
    assert len(user_days(scratch)) == 2


def test_a_dry_run_takes_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,ts\nann,2026-01-01\nbob,never\n", encoding="utf-8")
    found = imported(run, "log.csv", "--dry-run")
    assert (found["dry_run"], found["accepted"], found["wrong"]) == (True, 1, 1)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        pytest.param("a,b\n1,2\n", (), "no column for", id="no such columns"),
        pytest.param("user_id,ts\n", ("--map", "ts=when"), "when", id="a mapped column that is not there"),
        pytest.param("user_id,ts\n", ("--map", "email=x"), "--map", id="an unknown field"),
        pytest.param("user_id,ts\n", ("--map", "ts"), "--map", id="no column"),
        pytest.param("user_id,ts\n", ("--tz", "Mars/Olympus"), "--tz", id="no such zone"),
        pytest.param("user_id,ts\n", ("--tz", "../etc/passwd"), "--tz", id="a path for a zone"),
        pytest.param("user_id,ts\n", ("--format", "xml"), "--format", id="another format"),
        pytest.param("user_id,ts\n", ("--delimiter", "ab"), "--delimiter", id="two characters"),
        pytest.param("user_id,ts\n", ("--columns", "a,a"), "--columns", id="a column twice"),
        pytest.param("", (), "empty", id="an empty file"),
    ],
)
def test_a_wrong_order_is_a_usage_error(run: Run, tmp_path: Path, text: str, options: tuple[str, ...], said: str) -> None:
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    code, _out, err = run("import", "activity", "log.csv", *options)
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_what_cannot_be_read_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"user_id,ts\n" + os.urandom(100_000))[:-20_000])
    for name in ("absent.csv", ".", "cut.gz"):
        code, _out, err = run("import", "activity", name)
        assert (code, "Traceback" in err) == (2, False), name


def test_a_file_in_which_no_line_is_good_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user_id,ts\nann,never\n", encoding="utf-8")
    assert run("import", "activity", "log.csv")[0] == 1


def test_standard_input_is_taken_packed_or_not(scratch: Database, tmp_path: Path) -> None:
    text = gzip.compress(b'{"user_id": 7, "ts": 1767225600}\n')
    command = [sys.executable, "-m", "levqor.cli", "import", "activity", "-"]
    answer = subprocess.run(command, input=text, capture_output=True, timeout=40, check=False, cwd=tmp_path)
    assert (answer.returncode, answer.stdout[:14]) == (0, b"took 1 events;"), answer.stderr
    assert user_days(scratch) == {(date(2026, 1, 1), "7")}


def test_an_export_taken_back_is_the_same(run: Run, scratch: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(4)
    rows = [f"user {dice.randrange(40)},{date(2026, 1, 1) + timedelta(dice.randrange(50))}\n" for _ in range(400)]
    (tmp_path / "log.csv").write_text("user_id,ts\n" + "".join(rows), encoding="utf-8")
    imported(run, "log.csv")
    assert run("users", "forget", "user 3", "--yes")[0] == 0
    for kind in ("csv", "ndjson"):
        code, out, _err = run("export", "activity", "--format", kind)
        assert code == 0
        (tmp_path / f"out.{kind}").write_text(out, encoding="utf-8")
    lines = list(map(json.loads, (tmp_path / "out.ndjson").read_text(encoding="utf-8").splitlines()))
    assert len(lines) == len((tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()) - 1 == len(user_days(scratch))
    assert any(line["user_id"] is None for line in lines)
    some = run("export", "activity", "--since", "2026-01-10", "--until", "2026-01-12", "--format", "ndjson")[1]
    assert {json.loads(line)["day"] for line in some.splitlines()} == {"2026-01-10", "2026-01-11", "2026-01-12"}
    named = {found for found in user_days(scratch) if found[1] is not None}
    for kind in ("csv", "ndjson"):
        monkeypatch.setenv("LEVQOR_DATA", str(tmp_path / kind))
        run("import", "activity", f"out.{kind}", "--map", "ts=day")
        with closing(Database(database_url(None, tmp_path / kind))) as copy:
            assert user_days(copy) == named


def test_a_person_is_set_and_forgotten_only_when_that_is_confirmed(run: Run, scratch: Database) -> None:
    code, out, _err = run("users", "set", "ann", "--referral-source", "blog", "--created-at", "2026-01-01T00:00:00Z", "--json")
    assert (code, json.loads(out)["created"], json.loads(out)["created_day"]) == (0, True, "2026-01-01")
    assert run("users", "set", "ann", "--created-at", "soon")[0] == 2
    assert run("users", "forget", "ann")[0] == 2  # there is no terminal to answer on
    assert run("users", "forget", "ann", "--dry-run")[0] == 0
    with scratch.read() as connection:
        assert connection.execute(select(users.c.external_id)).scalar_one() == "ann"
    assert run("users", "forget", "ann", "--yes")[0] == 0
    assert run("users", "forget", "ann", "--yes")[0] == 1
    with scratch.read() as connection:
        assert connection.execute(select(users.c.external_id)).scalar_one() is None


def test_the_retention_verbs_answer_without_a_service(run: Run) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    for number in range(3):
        sent = json.dumps({"user_id": f"u{number}", "ts": f"{yesterday}T12:00:00Z"})
        Path("log.ndjson").write_text(sent + "\n", encoding="utf-8")
        imported(run, "log.ndjson", "--from-start")
    code, out, _err = run("retention", "show", "--json")
    assert (code, json.loads(out)["metrics"][0]["dau"]) == (0, 3)
    assert str(yesterday) in run("retention", "show")[1]
    code, out, _err = run("retention", "cohorts", "--by", "day", "--json")
    assert json.loads(out)["cohorts"][0]["users"] == 3
    assert str(yesterday) in run("retention", "cohorts", "--by", "day")[1]
    first, second = run("retention", "aggregate", "--json"), run("retention", "aggregate", "--json")
    assert json.loads(first[1])["days"] == json.loads(second[1])["days"]
    assert json.loads(second[1])["changed"] == 0
    assert run("retention", "aggregate", "--backfill", "3")[1].count("DAU") == 3
    assert run("retention", "aggregate", "--day", str(yesterday + timedelta(days=1)))[0] == 4
    assert run("retention", "aggregate", "--day", "soon")[0] == 2
    assert run("retention", "aggregate", "--day", str(yesterday), "--backfill", "3")[0] == 2
    assert run("retention", "cohorts", "--by", "year")[0] == 2
    code, _out, err = run("retention", "pull")
    assert code == 2
    assert "ANALYTICS_DATABASE_URL" in err


def environment_of(database: Database, folder: Path) -> dict[str, str]:
    url = database.url.render_as_string(hide_password=False)
    return {**os.environ, "DATABASE_URL": url, "LEVQOR_DATA": str(folder)}


def test_the_purchases_of_cdnow_are_counted_as_by_hand(database: Database, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """R2, R3, R4 on a real log: every day's DAU, WAU and MAU, and the months' cohorts, against plain sets."""
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))
    path = DATA / "cdnow_sample.txt.gz"
    assert imported(run, str(path), *CDNOW)["accepted"] == 6_919
    active: defaultdict[date, set[str]] = defaultdict(set)
    for line in gzip.decompress(path.read_bytes()).decode("ascii").splitlines():
        _master, customer, day, _cds, _dollars = line.split()
        active[datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC).date()].add(customer)

    def distinct(last: date, days: int) -> int:
        return len(set().union(*(active.get(last - timedelta(days=back), set()) for back in range(days))))

    for end in (date(1998, 1, 1), date(1998, 7, 1)):
        desk = RetentionDesk(database, ManualClock(datetime(end.year, end.month, end.day, 12, tzinfo=UTC)), ZoneInfo("UTC"))
        rows = desk.retention(days=300)["metrics"]
        expected = [end - timedelta(days=back) for back in range(1, 301)]
        assert [row["day"] for row in rows] == [day.isoformat() for day in expected]
        found = [(row["dau"], row["wau"], row["mau"]) for row in rows]
        assert found == [(distinct(day, 1), distinct(day, 7), distinct(day, 30)) for day in expected]
    kept = desk.aggregate(backfill=365)["days"]
    assert [(row["day"], row["mau"]) for row in reversed(kept)] == [(row["day"], row["mau"]) for row in desk.retention(365)["metrics"]]
    _check_month_cohorts(desk, active)


def _check_month_cohorts(desk: RetentionDesk, active: dict[date, set[str]]) -> None:
    first_day: dict[str, date] = {}
    months: defaultdict[int, set[str]] = defaultdict(set)
    for day in sorted(active):
        months[day.year * 12 + day.month].update(active[day])
        for customer in active[day]:
            first_day.setdefault(customer, day)
    for mode in Mode:
        answer = desk.cohorts(Span.MONTH, mode, count=18)
        checked = 0
        for cohort in answer["cohorts"]:
            start = date.fromisoformat(cohort["start"])
            month = start.year * 12 + start.month
            people = {who for who, day in first_day.items() if (day.year * 12 + day.month) == month}
            assert cohort["users"] == len(people)
            for column, retained in zip(answer["columns"], cohort["retained"], strict=True):
                later = [
                    found for at, found in months.items() if at == month + column or (mode is Mode.ON_OR_AFTER and at > month + column)
                ]
                is_over = month + column <= 1998 * 12 + 6
                assert retained == (len(people & set().union(*later)) if is_over else None), (start, column)
                checked += is_over
        assert checked > 100


def test_an_import_that_is_killed_goes_on_and_equals_a_single_run(database: Database, tmp_path: Path) -> None:
    """R5: the place is kept in the transaction of its batch."""
    dice, log = random.Random(5), tmp_path / "log.csv"
    rows = [(f"u{dice.randrange(3_000)}", date(2026, 1, 1) + timedelta(dice.randrange(60))) for _ in range(30_000)]
    log.write_text("user_id,ts\n" + "".join(f"{user},{day}\n" for user, day in rows), encoding="utf-8")
    command = [sys.executable, "-m", "levqor.cli", "import", "activity", str(log), "--json"]
    environment = environment_of(database, tmp_path / "data")

    def lines_kept() -> int:
        with database.read() as connection:
            position = connection.execute(select(imports.c.position)).scalar()
        return 0 if position is None else int(position["line"])

    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=tmp_path)
    eventually(lines_kept, 30, every_s=0.01, what="the first batch")
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    kept = lines_kept()
    assert 0 < kept < 30_001
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(activity)).scalar_one() == len(set(rows[: kept - 1]))
    answer = subprocess.run(command, env=environment, capture_output=True, timeout=50, check=True, cwd=tmp_path)
    found = json.loads(answer.stdout)
    assert (found["first_line"], found["accepted"], found["duplicates"]) == (kept + 1, 30_001 - kept, 0)
    assert user_days(database) == {(day, user) for user, day in rows}
