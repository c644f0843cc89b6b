"""`summary`: prints, writes, mails once; exit codes (spec L1, T2)."""

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.mail_servers import MailHost, mail_host
from tests.unit.cli.conftest import Run


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailHost]:
    server = mail_host()
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{server.port}")
    monkeypatch.setenv("MAIL_FROM", "Levqor <levqor@example.com>")
    monkeypatch.setenv("MAIL_TO", "ana@example.com,Bo <bo@example.com>")
    yield server
    server.close()


def test_without_a_channel_it_is_printed_and_says_so(run: Run) -> None:
    ended = run("summary")
    assert (ended.code, ended.err) == (
        0,
        "no channel is set, so it was sent to nobody: set SMTP_URL with MAIL_FROM and MAIL_TO, or SUMMARY_URLS\n",
    )
    assert ended.out.startswith("Act: no autopilot leads")
    assert "SERVICE LEVELS" in ended.out


def test_a_dry_run_sends_and_claims_nothing(run: Run, host: MailHost) -> None:
    dry = run("summary", "--dry-run", "--json").json
    assert (dry["schema"], dry["state"], dry["type"], dry["level"]) == (1, "dry_run", "daily", "act")
    assert host.room.mails == []
    assert run("summary", "--json").json["state"] == "sent"


def test_asked_twice_it_is_sent_once_and_by_force_again(run: Run, host: MailHost) -> None:
    first, second, forced = (
        run("summary", "--type", "weekly"),
        run("summary", "--type", "weekly"),
        run("summary", "--type", "weekly", "--force"),
    )
    assert [ended.code for ended in (first, second, forced)] == [0, 0, 0]
    assert "was sent\n  smtp: sent" in first.err
    assert "was sent before; --force sends it again" in second.err
    assert len(host.room.mails) == 2
    recipients, message, _ = host.room.mails[0]
    assert recipients == ["ana@example.com", "bo@example.com"]
    assert "Levqor weekly" in message["Subject"]


def test_two_processes_at_once_send_one(run: Run, host: MailHost) -> None:
    assert run("summary", "--dry-run").code == 0  # makes the database
    command = [sys.executable, "-m", "levqor.cli", "summary", "--json"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=50) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(host.room.mails) == 1
    assert sum('"state": "sent"' in out for out, _err in told) == 1


def test_a_server_that_refuses_is_said_and_ends_with_1(run: Run, host: MailHost) -> None:
    host.room.data = "554 5.7.1 no"
    ended = run("summary")
    assert ended.code == 1
    assert ended.err.endswith("  smtp: not sent: the server refused the mail (554 5.7.1 no)\n")
    host.room.data = None
    assert run("summary").code == 0
    assert len(host.room.mails) == 1


def test_out_writes_the_html_whole_for_its_owner(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "summary.html"
    file.write_text("older", encoding="utf-8")
    ended = run("summary", "--out", str(file), "--dry-run")
    assert (ended.code, ended.out) == (0, "")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run("summary", "--format", "html").out.startswith("<!doctype html>")
    assert run("summary", "--out", str(tmp_path / "no" / "summary.html"), "--dry-run").code == 2


@pytest.mark.parametrize("words", [("--type", "hourly"), ("--format", "pdf")])
def test_what_it_does_not_know_is_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    assert run("summary", *words).code == 2


def test_a_database_that_is_away_is_69(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert run("summary").code == 69
