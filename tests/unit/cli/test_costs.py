"""C1, L1: `levqor costs ledger|sync|add|import`, with no service running."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.fake_stripe import KEY, FakeStripe, fake_stripe
from tests.unit.cli.conftest import Run

from levqor.host import SystemClock


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("LEVQOR_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    with fake_stripe() as fake:
        yield fake


def test_an_added_entry_is_in_the_ledger(run: Run) -> None:
    answer = run("costs", "add", "--source", "infra", "--amount", "46", "--currency", "usd", "--note", "a server", "--json")
    assert answer.code == 0
    assert (answer.json["schema"], answer.json["changed"], answer.json["amount"]) == (1, 1, "46")
    ledger = run("costs", "ledger", "--json").json
    assert (ledger["count"], ledger["sums"]) == (1, {"usd": {"infra": "46"}})
    assert {ledger["entries"][0][name] for name in ("note", "status", "type")} == {"a server", "final", "cost"}
    assert {state["status"] for state in ledger["sources"]} == {"not_configured"}


def test_the_same_key_is_the_same_entry(run: Run) -> None:
    words = ("costs", "add", "--source", "infra", "--amount", "46.10", "--key", "march")
    assert "added 46.10 usd" in run(*words).out
    assert "was there already" in run(*words).out, "though it says no time, and now is later"
    assert run("costs", "ledger", "--json").json["sums"] == {"usd": {"infra": "46.10"}}


def test_a_refund_and_a_whole_day_can_be_typed(run: Run) -> None:
    day = SystemClock().now().date().isoformat()
    assert run("costs", "add", "--source", "shop", "--category", "revenue", "--amount", "-5", "--day", day).code == 0
    (entry,) = run("costs", "ledger", "--source", "shop", "--category", "revenue", "--since", day, "--json").json["entries"]
    assert (entry["type"], entry["amount"], entry["day"]) == ("refund", "-5", day)
    assert run("costs", "ledger", "--until", day, "--json").json["count"] == 0


@pytest.mark.parametrize(
    "words",
    [
        ("add", "--source", "infra", "--amount", "NaN"),
        ("add", "--source", "infra", "--amount", "9" * 20_000),
        ("add", "--source", "infra", "--amount", "1", "--currency", "dollars"),
        ("add", "--source", "infra", "--amount", "1", "--day", "2026-02-30"),
        ("add", "--source", "somebody", "--amount", "1"),
        ("ledger", "--category", "other"),
        ("ledger", "--since", "once"),
        ("ledger", "--limit", "0"),
        ("sync", "--source", "stripe"),
        ("import", "absent.csv"),
    ],
    ids=lambda words: " ".join(words)[:40],
)
def test_what_cannot_be_is_refused_with_a_reason(run: Run, words: tuple[str, ...]) -> None:
    ran = run("costs", *words)
    assert (ran.code, ran.out) == (2, "")
    assert 0 < len(ran.err) < 700


def test_a_sync_without_a_source_says_so(run: Run) -> None:
    ran = run("costs", "sync")
    assert ran.code == 0
    assert "no source is configured" in ran.err


def test_a_sync_reads_what_is_configured(run: Run, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    stripe.charge(int(SystemClock().now().timestamp()) - 60, 1_000, fee=59)
    monkeypatch.setenv("STRIPE_SECRET_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    monkeypatch.setenv("COST_CONSTANTS", "redis=7.50")
    rows = run("costs", "sync", "--json").json["sources"]
    assert rows == [
        {"source": "stripe", "outcome": "ok", "changed": 2, "error": None},
        {"source": "infra", "outcome": "ok", "changed": 1, "error": None},
    ]
    assert run("costs", "sync", "--source", "stripe").out.split() == ["stripe", "ok,", "0", "changed"]


def test_a_source_that_is_down_is_named_and_the_exit_code_says_so(run: Run, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_wrongSecret")
    monkeypatch.setenv("STRIPE_API_BASE", stripe.url)
    ran = run("costs", "sync")
    assert ran.code == 69
    assert "check STRIPE_SECRET_KEY" in ran.out
    ledger = run("costs", "ledger")
    assert "stripe is down" in ledger.err
    assert "wrongSecret" not in ran.out + ran.err + ledger.out + ledger.err


class TestImport:
    def write(self, folder: Path, *lines: str, name: str = "a.csv") -> str:
        path = folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    def day(self) -> str:
        return SystemClock().now().date().isoformat()

    def test_a_file_is_brought_in_once(self, run: Run, folder: Path) -> None:
        row = f"{self.day()},5.05,redis"
        file = self.write(folder, "day,amount,line_item", row, row)
        assert run("costs", "import", file, "--source", "infra", "--dry-run").out.startswith("2 rows, 0 changed (dry run")
        assert run("costs", "ledger", "--json").json["count"] == 0
        assert run("costs", "import", file, "--source", "infra").out == "2 rows, 2 changed\n"
        assert run("costs", "import", file, "--source", "infra", "--json").json["changed"] == 0
        assert run("costs", "ledger", "--json").json["sums"] == {"usd": {"infra": "10.10"}}

    def test_by_its_key_a_row_is_corrected(self, run: Run, folder: Path) -> None:
        head = "key,day,amount,source,currency"
        run("costs", "import", self.write(folder, head, f"a,{self.day()},5,infra,eur"))
        run("costs", "import", self.write(folder, head, f"a,{self.day()},6,infra,eur"))
        assert run("costs", "ledger", "--json").json["sums"] == {"eur": {"infra": "6"}}

    def test_wrong_lines_are_named_and_nothing_is_written(self, run: Run, folder: Path) -> None:
        file = self.write(
            folder,
            "day,amount,source,key,colour",
            f"{self.day()},5,infra,a,",
            f"{self.day()},five,infra,b,",
            ",5,infra,c,",
            f"{self.day()},5,infra,a,",
            f"{self.day()},5,infra,d,red",
            f"{self.day()},5,infra,e,,more",
        )
        ran = run("costs", "import", file)
        assert ran.code == 2
        lines = [line.strip() for line in ran.err.splitlines()[1:]]
        assert [line.partition(":")[0] for line in lines] == ["line 3", "line 4", "line 5", "line 6", "line 7"]
        assert "amount: expected a number" in lines[0]
        assert "that of line 2" in lines[2]
        assert run("costs", "ledger", "--json").json["count"] == 0

    def test_many_wrong_lines_are_counted(self, run: Run, folder: Path) -> None:
        ran = run("costs", "import", self.write(folder, "day,amount,source", *["x,y,infra"] * 50))
        assert ran.err.splitlines()[-1].strip() == "and 30 more"

    @pytest.mark.parametrize(
        "text", [b"", b"\xff\xfe", b"a,b\n1,2\n", b'amount,day\n"5,x\n', b"amount,day\n" + b'"' + b"x" * 200_000 + b'"\n']
    )
    def test_a_file_that_is_no_table_is_refused(self, run: Run, folder: Path, text: bytes) -> None:
        (folder / "b.csv").write_bytes(text)
        ran = run("costs", "import", str(folder / "b.csv"))
        assert ran.code == 2
        assert "FILE: expected" in ran.err

    def test_too_many_rows_are_refused(self, run: Run, folder: Path) -> None:
        ran = run("costs", "import", self.write(folder, "day,amount,source", *[f"{self.day()},1,infra"] * 20_001))
        assert ran.code == 2
        assert "at most 20000 rows" in ran.err


def test_the_ledger_says_how_much_it_does_not_show(run: Run) -> None:
    for number in range(3):
        run("costs", "add", "--source", "infra", "--amount", str(number))
    ran = run("costs", "ledger", "--limit", "2")
    assert "2 of 3 entries" in ran.err
    assert json.loads(run("costs", "ledger", "--limit", "2", "--json").out)["count"] == 3
