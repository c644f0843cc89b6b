"""Lines of a Procfile; what a team has in it already stays as it is."""

import re
import shlex
from pathlib import Path

from levqor.kit.files import File
from levqor.kit.installation import Installation

LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+):\s*(?P<command>.+)")


def procfile_files(installation: Installation, present: str) -> list[File]:
    """The Procfile with Levqor's line and, where the team runs them, a worker's. `present`: what it holds now."""
    lines = present.splitlines()
    commands = {found["name"]: found["command"] for found in map(LINE.fullmatch, lines) if found}
    ours = [name for name, command in commands.items() if command == "levqor up"]
    if not ours:
        # A platform sends requests to `web`: Levqor's, unless it is the team's own app.
        lines.append(f"{'levqor' if 'web' in commands else 'web'}: levqor up")
    if not installation.owns_workers and "worker" not in commands:
        lines.append(f"worker: {shlex.join([Path(installation.worker[0]).name, *installation.worker[1:]])}")
    return [File(Path("Procfile"), "\n".join(lines) + "\n")]
