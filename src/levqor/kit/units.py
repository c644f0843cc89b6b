"""Units for systemd: the service, an agent on a further machine, and one worker of a fleet of slots."""

import re
from collections.abc import Iterable
from pathlib import Path

from levqor.domain.fleet import FleetKind
from levqor.kit.files import File
from levqor.kit.installation import Installation

UNITS = Path("/etc/systemd/system")
OWN_UNITS = Path("~/.config/systemd/user")
RULES = Path("/etc/polkit-1/rules.d")
HOMES = ("/home", "/root", "/run/user")

_SERVICE = """\
{head}
[Unit]
Description={description}
Documentation=https://github.com/levqor/levqor/blob/main/docs/operations.md
Wants=network-online.target
After={after}

[Service]
Type=exec
User={user}
Group={user}
ExecStart={command}

# The agent ends its workers itself, each after its job. Killed, it leaves them to the next one, which adopts them: hence `process`.
KillMode=process
# Above DRAIN_GRACE_S ({grace:g}), after which a job goes back to its queue.
TimeoutStopSec={stop_timeout_s}
# A worker that runs out of memory is replaced by the agent; it ends nobody else.
OOMPolicy=continue
# Exit code 2 is a wrong setting or a busy port: starting again would not help.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2

# Shuts the service in; what it writes is in the folders below.
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome={protect_home}
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
UMask=0027

# Workers outlive an agent that was killed, so scratch files are no private /tmp, which systemd would empty under them.
{folders}
WorkingDirectory={folder}
{environment}
# Settings and secrets, mode 600: ADMIN_TOKEN, REDIS_URL, DATABASE_URL and so on (docs/settings.md).
EnvironmentFile=-{env_file}

[Install]
WantedBy=multi-user.target
"""

_WORKER = """\
# One worker of the fleet, which Levqor starts and stops: FLEET_KIND=slots, SLOTS_UNIT={slots_unit}
# RQ_REDIS_URL, the broker, belongs into {env_file} (mode 600). Workers from a boot on, before Levqor has its say:
#   systemctl {manager}enable --now {first}
[Unit]
Description=RQ worker %i
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
{user}WorkingDirectory={folder}
EnvironmentFile=-{env_file}
ExecStart={command}

# SIGTERM goes to the worker alone, which ends after its job; what is left after TimeoutStopSec is killed, and the job goes back.
KillMode=mixed
TimeoutStopSec={stop_timeout_s}
# A job that runs out of memory ends itself and not the worker.
OOMPolicy=continue
Restart=on-failure
RestartSec=2

[Install]
WantedBy={wanted_by}
"""

_RULE = """\
// Levqor's user may start and stop the workers of its fleet, and nothing else.
polkit.addRule(function (action, subject) {{
  if (action.id == "org.freedesktop.systemd1.manage-units" && subject.user == "{user}" &&
      /^{pattern}$/.test(action.lookup("unit")) && ["start", "stop"].indexOf(action.lookup("verb")) >= 0) {{
    return polkit.Result.YES;
  }}
}});
"""


def systemd_files(installation: Installation) -> list[File]:
    """The service and, for a fleet of slots that are units, one worker and the right to start it."""
    head = "# Levqor on this machine, as `levqor init systemd` makes it from the settings in force; again after changing one.\n"
    files = [
        File(UNITS / "levqor.service", service_unit(installation, f"{head}#   systemctl daemon-reload && systemctl enable --now levqor"))
    ]
    if installation.kind is FleetKind.SLOTS and installation.slots_unit is not None:
        if installation.slots_user:
            # That user runs Levqor too, and needs no right to start what is the user's own.
            return [File(OWN_UNITS.expanduser() / _template(installation.slots_unit), worker_unit(installation))]
        name = _template(installation.slots_unit)
        files.append(File(UNITS / name, worker_unit(installation)))
        files.append(File(RULES / "50-levqor.rules", _rule(installation, name)))
    return files


def service_unit(installation: Installation, head: str) -> str:
    """Everything on one machine."""
    return _service(
        installation,
        head,
        description="Levqor: service, autopilot and workers" if installation.owns_workers else "Levqor: service and autopilot",
        after="network-online.target postgresql.service valkey.service redis.service",
        verb="up",
    )


def agent_unit(installation: Installation, head: str) -> str:
    """More workers on a further machine."""
    return _service(
        installation, head, description="Levqor: this machine's share of the workers", after="network-online.target", verb="agent"
    )


def worker_unit(installation: Installation) -> str:
    """One worker of a fleet of slots; a template that systemd fills with the slot's number."""
    unit = installation.slots_unit or ""
    return _WORKER.format(
        slots_unit=unit,
        first=" ".join(unit.replace("{slot}", str(number)) for number in range(1, max(1, installation.workers_min) + 1)),
        user="" if installation.slots_user else f"User={installation.user}\n",
        wanted_by="default.target" if installation.slots_user else "multi-user.target",
        manager="--user " if installation.slots_user else "",
        folder=_path(installation.folder),
        env_file=_path(installation.worker_env_file),
        command=_command(installation.worker),
        stop_timeout_s=installation.stop_timeout_s,
    )


def _service(installation: Installation, head: str, *, description: str, after: str, verb: str) -> str:
    return _SERVICE.format(
        head=head,
        description=description,
        after=after,
        user=installation.user,
        command=_command((*installation.levqor, verb)),
        grace=installation.drain_grace_s,
        stop_timeout_s=installation.stop_timeout_s,
        protect_home="read-only" if any(_is_at_home(path) for path in _paths(installation)) else "yes",
        folders="\n".join(_folders(installation)),
        folder=_path(installation.folder),
        environment="\n".join(_environment(installation)),
        env_file=_path(installation.env_file),
    )


def _folders(installation: Installation) -> Iterable[str]:
    """What systemd makes and hands over where it can, else what it leaves writable."""
    written = [installation.data, installation.logs, installation.flags.parent]
    state, logs = _below("/var/lib", installation.data), _below("/var/log", installation.logs)
    if state is not None:
        yield f"StateDirectory={state}"
        yield "StateDirectoryMode=0750"
        written = [path for path in written if not path.is_relative_to(installation.data)]
    if logs is not None:
        yield f"LogsDirectory={logs}"
        written.remove(installation.logs)
    yield "CacheDirectory=levqor"
    shared = [installation.folder if path.is_relative_to(installation.folder) else path for path in written]
    if shared:
        yield f"ReadWritePaths={' '.join(_path(path) for path in dict.fromkeys(shared))}"


def _environment(installation: Installation) -> Iterable[str]:
    places = {"LEVQOR_DATA": installation.data, "LEVQOR_FLAGS": installation.flags, "LEVQOR_LOGS": installation.logs}
    yield f"Environment={' '.join(_quoted(f'{name}={path}') for name, path in places.items())} TMPDIR=%C/levqor"
    yield from (f"Environment={_quoted(f'{name}={value}')}" for name, value in sorted(installation.environment.items()))


def _paths(installation: Installation) -> list[Path]:
    return [Path(installation.levqor[0]), installation.folder, installation.data, installation.logs, installation.flags]


def _is_at_home(path: Path) -> bool:
    return any(path.is_relative_to(home) for home in HOMES)


def _below(parent: str, path: Path) -> str | None:
    return str(path.relative_to(parent)) if path.is_relative_to(parent) and str(path) != parent else None


def _template(slots_unit: str) -> str:
    """`rq-worker@{slot}.service` as the file's name: `rq-worker@.service`."""
    name = slots_unit.replace("{slot}", "")
    return name if name.endswith(".service") else f"{name}.service"


def _rule(installation: Installation, template: str) -> str:
    begins, _, ends = template.partition("@")
    numbers = "|".join(str(number) for number in range(1, installation.workers_max + 1))
    pattern = f"{re.escape(begins)}@({numbers}){re.escape(ends)}".replace("/", "\\/")
    return _RULE.format(user=installation.user, pattern=pattern)


def _command(words: Iterable[str]) -> str:
    """A line for ExecStart: there a dollar sign is a variable."""
    return " ".join(_quoted(word).replace("$", "$$") for word in words)


def _quoted(word: str) -> str:
    """One word as systemd reads it back: % is its own sign, blanks and quotes need quoting."""
    safe = word.replace("%", "%%")
    if re.fullmatch(r"[^\s\"'\\;]+", safe):
        return safe
    return '"' + safe.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _path(path: Path) -> str:
    return str(path).replace("%", "%%").replace(" ", "\\x20")
