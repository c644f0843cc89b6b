"""The table of verbs: where each one's command lives. A verb's module is imported only when that verb runs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb: its section in the help, the place of its function or sub-application, and its line in the help."""

    section: str
    module: str
    attribute: str
    summary: str
    takes_negative_numbers: bool = False
    is_hidden: bool = False


VERBS: dict[str, Verb] = {
    "up": Verb("Run", "levqor.cli.up", "up", "Run everything: store, service, autopilot and workers."),
    "demo": Verb("Run", "levqor.cli.demo", "demo", "See a fleet grow under a real load and come back, each step explained."),
    "attach": Verb("Run", "levqor.cli.attach", "attach", "Watch the queues of your own broker and advise; nothing is written to it."),
    "detach": Verb("Run", "levqor.cli.attach", "detach", "List and remove every key and table of Levqor's."),
    "web": Verb("Run", "levqor.cli.processes", "web", "Run the HTTP service (and the autopilot) alone."),
    "autopilot": Verb("Run", "levqor.cli.processes", "autopilot", "Run the autopilot's loop alone."),
    "agent": Verb("Run", "levqor.cli.agent", "agent", "Run this machine's share of the workers."),
    "look": Verb("Look", "levqor.cli.look", "look", "Look at a queue you already have, by its broker's address alone."),
    "status": Verb("Look", "levqor.cli.status", "status", "Mode, holds, signals with their age, target and workers."),
    "ps": Verb("Look", "levqor.cli.fleet", "ps", "The workers and the queues."),
    "why": Verb("Look", "levqor.cli.why", "why", "Why it did, or did not, act at a time."),
    "doctor": Verb("Look", "levqor.cli.doctor", "doctor", "Check everything that can be checked from here."),
    "slo": Verb("Look", "levqor.cli.slo", "slo", "Objectives, error budgets and streaks; one check now."),
    "alerts": Verb("Look", "levqor.cli.alerts", "app", "What was told to whom (list), and whether telling works (test)."),
    "incidents": Verb("Look", "levqor.cli.incidents", "incidents", "What was wrong, what was done about it, and whether it helped."),
    "retention": Verb("Look", "levqor.cli.retention", "app", "Who stays: active users, stickiness, cohorts (show, cohorts, aggregate)."),
    "costs": Verb("Look", "levqor.cli.costs", "app", "What it costs: ledger, forecast, today; add, import or sync entries."),
    "schedule": Verb("Look", "levqor.cli.schedule", "app", "What runs when, and how it went (list, history); run one now."),
    "verify": Verb("Look", "levqor.cli.verify", "verify", "Check a running service from outside, answer by answer."),
    "summary": Verb("Look", "levqor.cli.summary", "summary", "The daily or weekly summary: print it, write it, or mail it."),
    "report": Verb("Look", "levqor.cli.report", "report", "What acting would have saved or cost, and where it would have been wrong."),
    "scale": Verb("Steer", "levqor.cli.fleet", "scale", "Set the number of workers: 3, +1, -1, or auto.", takes_negative_numbers=True),
    "restart": Verb("Steer", "levqor.cli.fleet", "restart", "Restart one worker, or all of them one after another."),
    "hold": Verb("Steer", "levqor.cli.holds", "hold", "Nothing automatic acts, for a time or until released."),
    "release": Verb("Steer", "levqor.cli.holds", "release", "End holds."),
    "deploy": Verb("Steer", "levqor.cli.deploy", "deploy", "Mark that a version of your app came."),
    "pause": Verb("Steer", "levqor.cli.holds", "pause", "Workers take no more jobs from a queue."),
    "resume": Verb("Steer", "levqor.cli.holds", "resume", "Workers take jobs from a paused queue again."),
    "recover": Verb("Steer", "levqor.cli.incidents", "recover", "Recover now: dead letters, workers, app; as far as there is cause."),
    "rearm": Verb("Steer", "levqor.cli.incidents", "rearm", "Let automatic recoveries act again."),
    "dead": Verb("Steer", "levqor.cli.dead", "app", "Dead letters: list, show, requeue, drop, quarantined."),
    "autoscale": Verb("Steer", "levqor.cli.autoscale", "app", "Decide now (dryrun), act now (apply), or list decisions."),
    "flags": Verb("Steer", "levqor.cli.flags", "app", "Read and set the flags."),
    "import": Verb("Data", "levqor.cli.imports", "app", "Bring in activity from a file."),
    "export": Verb("Data", "levqor.cli.exports", "app", "Write activity out."),
    "users": Verb("Data", "levqor.cli.users", "app", "Known users: set one, forget one."),
    "backup": Verb("Data", "levqor.cli.backup", "app", "Backups of Levqor's own data: create, list, verify, restore."),
    "init": Verb("Run", "levqor.cli.init", "app", "Write what runs it elsewhere: systemd, compose, procfile."),
    "replay": Verb("Try", "levqor.cli.replay", "replay", "Play a real arrival trace against the running service, and report."),
    "drill": Verb("Try", "levqor.cli.drill", "drill", "Make a real fault on a stack of its own, and see every promise kept."),
    "lab": Verb("Try", "levqor.cli.lab", "lab", "Examine the policies: JSON lines in, JSON lines out."),
    "config": Verb("Try", "levqor.cli.config", "app", "Every setting, its value and where it came from."),
}
