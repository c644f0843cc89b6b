"""`ps`, `scale` and `restart`: the workers."""

from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url, Why, Yes
from levqor.cli.service import Service, actor
from levqor.cli.spans import parse_span, say_span
from levqor.cli.wording import say_count
from levqor.domain.errors import UsageError

LARGEST_COUNT = 1_000


def ps(as_json: Json = False, url: Url = None) -> None:
    """The workers and what they do, and the queues."""
    with Service.at(url) as service:
        health = {**service.get("/ops/queue_health"), "paused": service.get("/ops/holds").get("paused")}
    if as_json:
        output.emit_json(health)
        return
    _print_workers(health)
    for sentence in health.get("advice") or []:
        output.tell(str(sentence))


def _print_workers(health: dict[str, Any]) -> None:
    from rich.table import Table

    console = output.console()
    workers, queues = health.get("workers"), health.get("queues")
    if workers is None:
        console.print("workers: unknown")
    else:
        table = Table("worker", "host", "pid", "state", "job", box=None, pad_edge=False)
        for worker in workers:
            table.add_row(*(str(worker.get(key) or "-") for key in ("name", "host", "pid", "state", "job_id")))
        console.print(table if workers else "no workers")
    if queues is None:
        console.print("queues: unknown")
        return
    paused = {row["queue"]: f"by {row['owner']}: {row['why']}" for row in health.get("paused") or []}
    table = Table("queue", "waiting", "oldest wait", "running", "retries due later", "dead", "paused", box=None, pad_edge=False)
    for queue in queues:
        oldest = queue.get("oldest_wait_s")
        waits = "-" if oldest is None else say_span(float(oldest))
        figures = [say_count(queue.get(key)) for key in ("running", "delayed", "dead")]
        table.add_row(str(queue["name"]), say_count(queue.get("depth")), waits, *figures, paused.get(queue["name"], "-"))
    console.print()
    console.print(table)


def scale(
    count: Annotated[str, typer.Argument(metavar="N|+1|-1|auto", help="A count, a difference, or `auto` to end the manual hold.")],
    hold_for: Annotated[str | None, typer.Option("--for", metavar="1h", help="How long the count holds. Default: MANUAL_HOLD_S.")] = None,
    why: Why = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Set the number of workers by hand. The autopilot holds until the time is over or `levqor scale auto`."""
    for_s = None if hold_for is None else parse_span(hold_for)
    wish = parse_count(count)
    with Service.at(url) as service:
        if dry_run:
            answer = _preview(service, wish, for_s)
        elif wish is None:
            answer = service.delete("/ops/scale")
        else:
            answer = service.post("/ops/scale", {**wish, "why": why or "set by hand", "for_s": for_s})
    if as_json:
        output.emit_json({"dry_run": dry_run, **answer})
    else:
        output.emit(_say_scaled(answer, wish, dry_run))


def parse_count(text: str) -> dict[str, int] | None:
    """`3` as a count, `+1` as a difference, `auto` as None. Raises UsageError for anything else."""
    words = text.strip().lower()
    if words == "auto":
        return None
    digits = words.lstrip("+-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4 and len(words) - len(digits) <= 1) or int(digits) > LARGEST_COUNT:
        raise UsageError(f"scale: expected a count up to {LARGEST_COUNT}, +1, -1 or auto")
    return {"count": int(digits)} if words == digits else {"delta": int(words)}


def _preview(service: Service, wish: dict[str, int] | None, for_s: float | None) -> dict[str, Any]:
    """What `scale` would answer."""
    before = service.get("/status").get("target")
    if wish is None:
        return {"target": before}
    target = wish["count"] if "count" in wish else None if before is None else int(before) + wish["delta"]
    lowest, highest = service.settings.workers_min, service.settings.workers_max
    if target is not None and not lowest <= target <= highest:
        raise UsageError(f"scale: {target} is not between WORKERS_MIN {lowest} and WORKERS_MAX {highest}")
    return {"before": before, "target": target, "owner": actor(), "remaining_s": for_s or service.settings.manual_hold_s}


def _say_scaled(answer: dict[str, Any], wish: dict[str, int] | None, dry_run: bool) -> str:
    if wish is None:
        return f"the manual hold {'would end' if dry_run else 'has ended'}; the autopilot decides again"
    left = answer.get("remaining_s")
    until = "until released" if left is None else f"for {say_span(float(left))}"
    move = f"target {say_count(answer.get('before'))} -> {say_count(answer.get('target'))}"
    return f"{move}, {'would be held' if dry_run else 'held'} {until} by {answer.get('owner')}; `levqor scale auto` ends it"


def restart(
    worker: Annotated[str | None, typer.Argument(metavar="[ID]", help="One worker of `levqor ps`. None: all, one after another.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Restart one worker, or all of them one after another. Each finishes its job first."""
    with Service.at(url) as service:
        if dry_run:
            answer = _restart_preview(service, worker)
        elif worker is None and output.has_terminal() and not output.confirm("Restart every worker, one after another?", yes=yes):
            output.tell("nothing was done")
            return
        else:
            answer = service.post("/ops/workers/restart", {} if worker is None else {"worker": worker})
    if as_json:
        output.emit_json({"dry_run": dry_run, **answer})
        return
    whom = worker or "every worker, one after another"
    output.emit(f"would restart {whom}: {', '.join(answer['workers']) or 'none lives'}" if dry_run else f"restarting {whom}")


def _restart_preview(service: Service, worker: str | None) -> dict[str, Any]:
    workers = service.get("/ops/queue_health").get("workers") or []
    names = [str(one["name"]) for one in workers if worker in (None, one["name"])]
    if worker is not None and not names:
        raise UsageError(f"no worker is named {worker}; `levqor ps` lists them")
    return {"workers": names}
