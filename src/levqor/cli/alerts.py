"""`alerts list` and `alerts test`."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url
from levqor.cli.service import Service
from levqor.cli.spans import say_span

app = typer.Typer(help="What was told, and whether telling works.", no_args_is_help=True, rich_markup_mode=None, add_completion=False)

TEST_TIMEOUT_S = 40.0
"""Longer than the service waits for its channels."""


@app.command("list")
def list_alerts(
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many, the newest first.")] = 20,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """The newest alerts, and what became of each on each channel."""
    with Service.at(url) as service:
        answer = service.get("/ops/alerts", limit=limit)
    if as_json:
        output.emit_json(answer)
        return
    for alert in answer.get("alerts", []):
        output.emit(f"{alert['created_at'][:19]}Z  {alert['severity']:6}  {'to come: ' if is_to_come(alert) else ''}{alert['title']}")
        for delivery in alert.get("deliveries", []):
            output.emit(f"    {say_delivery(delivery)}")
    if not answer.get("alerts"):
        output.tell("nothing has been told yet")
    if not answer.get("channels"):
        output.tell("no channel is configured: `levqor doctor` says how")


@app.command("test")
def try_channels(dry_run: DryRun = False, as_json: Json = False, url: Url = None) -> None:
    """Send a test through every channel. Exit code 1 unless it has gone out through all."""
    with Service.at(url, timeout_s=TEST_TIMEOUT_S) as service:
        if dry_run:
            names = [channel["channel"] for channel in service.get("/ops/alerts", limit=1).get("channels", [])]
            _say_plan(names, as_json)
            return
        answer = service.post("/ops/alerts/test", {})
    if as_json:
        output.emit_json(answer)
    else:
        for delivery in answer["deliveries"]:
            output.emit(say_delivery(delivery))
    if not answer["ok"]:
        raise typer.Exit(1)


def _say_plan(names: list[str], as_json: bool) -> None:
    if as_json:
        output.emit_json({"dry_run": True, "channels": names})
    else:
        output.emit(f"dry run, nothing was sent; channels: {', '.join(names) or 'none'}")


def is_to_come(alert: dict[str, Any]) -> bool:
    """Is it a reminder that has not been tried yet?"""
    return alert.get("kind") == "reminder" and not any(delivery.get("attempts") for delivery in alert.get("deliveries", []))


def say_delivery(delivery: dict[str, Any]) -> str:
    """One delivery in a line."""
    due = delivery.get("due_in_s")
    parts = [
        f"{delivery['channel'] or 'on its way to the channels'}: {delivery['state']}",
        f"{delivery['error']}" if delivery.get("error") else "",
        f"next attempt in {say_span(due)}" if due else "",
    ]
    return "; ".join(part for part in parts if part)
