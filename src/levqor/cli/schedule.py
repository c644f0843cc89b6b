"""`schedule list`, `schedule run` and `schedule history`."""

import threading
from typing import Annotated, Any

import typer

from levqor.cli import output
from levqor.cli.options import DryRun, Json, Url
from levqor.cli.service import Service
from levqor.domain.errors import ConditionNotMet, NotFound

app = typer.Typer(
    help="What runs when, and how it went; asks the running service.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)

LOOK_EVERY_S = 0.5
BEGUN_WITHIN_S = 60.0
"""Beyond a job's own time: what a leader, or a place among other runs, may be waited for."""
RECENT = 20

JobId = Annotated[str, typer.Argument(metavar="ID", help="A job of `levqor schedule list`.")]


@app.command("list")
def list_jobs(as_json: Json = False, url: Url = None) -> None:
    """Every scheduled job: when it is due next, and how its last run went."""
    with Service.at(url) as service:
        answer = service.get("/ops/schedule")
    if as_json:
        output.emit_json(answer)
        return
    for job in answer["jobs"]:
        output.emit(say_job(job))


@app.command("run")
def run_job(
    job_id: JobId,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, and print what it printed last.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Run one job now, once. Exit code 3 while it runs already; with --wait 1 if it failed, 4 if it has not ended in time."""
    with Service.at(url) as service:
        job = next((one for one in service.get("/ops/schedule")["jobs"] if one["id"] == job_id), None)
        if job is None:
            raise NotFound("no scheduled job has this id; `levqor schedule list` shows all")
        if dry_run:
            _say_plan(job, as_json=as_json)
            return
        answer = service.post(f"/ops/schedule/{job_id}/run")
        if wait:
            answer = _wait(service, job, int(answer["run_id"]))
    if as_json:
        output.emit_json(answer)
    else:
        _say_run(answer) if wait else output.emit(f"{job_id}: run {answer['run_id']} is asked for")
    if wait and answer["state"] != "done":
        raise typer.Exit(1)


@app.command("history")
def history(
    job_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Of one job; with what its runs printed last.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1_000, help="How many, the newest first.")] = 20,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Past runs, the newest first."""
    with Service.at(url) as service:
        answer = service.get("/ops/schedule/runs", job=job_id, limit=limit)
    if as_json:
        output.emit_json(answer)
        return
    for run in answer["runs"]:
        _say_run(run, with_output=job_id is not None)
    if not answer["runs"]:
        output.tell("nothing has run yet")


def _wait(service: Service, job: dict[str, Any], run_id: int) -> dict[str, Any]:
    pause = threading.Event()
    for _ in range(round((job["grace_s"] + BEGUN_WITHIN_S) / LOOK_EVERY_S)):
        runs = service.get("/ops/schedule/runs", job=job["id"], limit=RECENT)["runs"]
        found: dict[str, Any] | None = next((run for run in runs if run["id"] == run_id), None)
        if found is not None and found["state"] not in ("asked", "running"):
            return found
        pause.wait(LOOK_EVERY_S)
    raise ConditionNotMet(f"run {run_id} of {job['id']} has not ended; `levqor schedule history {job['id']}` shows how it goes on")


def _say_plan(job: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit_json({"dry_run": True, "job": job["id"], "command": job["command"], "state": job["state"]})
    else:
        output.emit(f"dry run, nothing was done: {job['id']} ({job['state']}) would run `{job['command']}`")


def say_job(job: dict[str, Any]) -> str:
    """One job in a line."""
    if job["state"] == "by_loop":
        last = f"last check {_moment(job['last_at'])}" if job["last_at"] else "no check yet"
        return f"{job['id']:15} by the loop, all the time; {last}"
    if job["state"] == "off":
        return f"{job['id']:15} off: {job['off_because']}"
    last_run = job["last_run"]
    last = f"last {_moment(job['last_at'])} {last_run['state']}" if last_run else "has not run yet"
    now = f"; {job['state']} now" if job["state"] in ("running", "asked") else ""
    return f"{job['id']:15} next {_moment(job['next_due_at'])}; {last}{now}; `{job['command']}`, cron {job['trigger']} {job['zone']}"


def _say_run(run: dict[str, Any], *, with_output: bool = True) -> None:
    code = "" if run["exit_code"] in (None, 0) else f", exit code {run['exit_code']}"
    attempt = "" if run["attempt"] == 1 else f", attempt {run['attempt']}"
    moment = _moment(run["started_at"] or run["due_at"])
    output.emit(f"{run['id']:>6}  {moment}  {run['job']:15} {run['state']}{code}{attempt}, by {run['asked_by']}")
    if with_output:
        for line in (run["output"] or "").splitlines():
            output.emit(f"        {line}")


def _moment(iso: str) -> str:
    return f"{iso[:16].replace('T', ' ')}Z"
