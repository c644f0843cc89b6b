"""Units, image, compose file and Procfile: linted as far as can be without running them."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.e2e.documented import ROOT, page
from tests.e2e.operators_kit import OPS, parsed

from levqor.cli.verbs import VERBS
from levqor.settings import Settings

UNITS = sorted(OPS.glob("systemd/*.service"))


def directives(path: Path) -> list[tuple[str, str]]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return [(name, value) for name, sign, value in (line.partition("=") for line in lines) if sign]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_stops_as_the_agent_needs_it_and_is_shut_in(path: Path) -> None:
    """A8, P7: jobs may end, and workers of an agent that was killed live on."""
    unit = dict(directives(path))
    assert int(unit["TimeoutStopSec"]) > Settings().drain_grace_s
    assert (unit["KillMode"], unit["OOMPolicy"], unit["Restart"]) == ("process", "continue", "on-failure")
    assert (unit["NoNewPrivileges"], unit["ProtectSystem"], unit["StateDirectory"]) == ("yes", "strict", "levqor")
    assert unit["ExecStart"].split()[1] in VERBS
    assert "PrivateTmp" not in unit, "systemd empties it under workers that outlive their agent"
    given = {assignment.partition("=")[0] for assignment in unit["Environment"].split()}
    assert given == {"LEVQOR_DATA", "LEVQOR_FLAGS", "LEVQOR_LOGS", "TMPDIR"}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_takes_a_unit_and_finds_it_shut_in(path: Path, tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("no systemd-analyze here")
    installed = tmp_path / path.name
    program = shutil.which("true") or "/bin/true"
    installed.write_text(path.read_text(encoding="utf-8").replace("/opt/levqor/bin/levqor", program), encoding="utf-8")
    verified = subprocess.run([analyze, "verify", "--man=no", str(installed)], capture_output=True, text=True, timeout=30, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    # Offline since version 250; older ones know no such option.
    scored = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=30", str(installed)], capture_output=True, text=True, timeout=30, check=False
    )
    assert scored.returncode == 0 or "unrecognized option" in scored.stderr, scored.stdout[-500:]


def instructions(path: Path) -> list[tuple[str, str]]:
    """Of a Dockerfile: each instruction and what follows it, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


DOCKERFILE = instructions(OPS / "Dockerfile")


def test_the_image_is_built_from_named_versions_of_what_there_is() -> None:
    bases = [rest.split()[0] for word, rest in DOCKERFILE if word == "FROM"]
    assert all(
        re.fullmatch(
            r"(python|node):\d[\w.]*-slim|(python|node):\d[\w.]*-[a-z]+-slim|(python|node):[\w.]+-slim-[a-z]+|(python|node):[\w.]+-[a-z]+-slim",
            base,
        )
        for base in bases
    )
    copied = [rest.split() for word, rest in DOCKERFILE if word == "COPY" and not rest.startswith("--from")]
    for source in (name for words in copied for name in words[:-1]):
        assert "*" in source or "[" in source or (ROOT / source).exists(), source
    allowed = (OPS / "Dockerfile.dockerignore").read_text(encoding="utf-8").split("\n")
    kept = {line.removeprefix("!") for line in allowed if line.startswith("!")}
    assert {name.rstrip("/").replace("[e]", "e") for words in copied for name in words[:-1]} == kept


def test_the_image_runs_levqor_as_nobody_special_and_holds_no_secret() -> None:
    last = [index for index, (word, _) in enumerate(DOCKERFILE) if word == "FROM"][-1]
    final = DOCKERFILE[last:]
    words = dict(final)
    assert words["USER"] == "10001:10001"
    command = ast.literal_eval(words["CMD"])
    assert command[0] == "levqor"
    assert command[1] in VERBS
    assert "/livez" in words["HEALTHCHECK"]
    assert any("--require-hashes" in rest for word, rest in DOCKERFILE if word == "RUN")
    given = {name for word, rest in final if word == "ENV" for name in re.findall(r"(\w+)=", rest)}
    assert not {name for name in given if re.search("TOKEN|SECRET|KEY|PASSWORD", name)}
    fields = {f"LEVQOR_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith("LEVQOR_")} <= fields


def test_the_images_health_check_is_python_that_asks_for_livez() -> None:
    check = ast.literal_eval(dict(DOCKERFILE)["HEALTHCHECK"].partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    compile(check[2], "HEALTHCHECK", "exec")


def test_the_compose_file_is_short_opens_loopback_alone_and_gives_time_to_drain() -> None:
    path = OPS / "compose.yaml"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 20
    compose = parsed("compose.yaml")
    service = compose["services"]["levqor"]
    build = service["build"]
    assert (OPS / build["context"] / build["dockerfile"]).resolve() == OPS / "Dockerfile"
    assert (OPS / build["context"]).resolve() == ROOT
    fields = {name.upper() for name in Settings.model_fields}
    assert set(service["environment"]) <= fields
    assert re.fullmatch(r"\$\{ADMIN_TOKEN:\?.+\}", service["environment"]["ADMIN_TOKEN"]), "no token of its own"
    assert int(service["stop_grace_period"].removesuffix("s")) > Settings().drain_grace_s
    for found in compose["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in found.get("ports", ()))
        assert all(volume.partition(":")[0] in compose["volumes"] for volume in found["volumes"])
        assert "build" in found or re.search(r":\d", found["image"]), "a version is named"


def test_the_procfile_names_commands_of_levqors() -> None:
    lines = (OPS / "Procfile").read_text(encoding="utf-8").splitlines()
    commands = [re.fullmatch(r"\w+: levqor (\w+)", line) for line in lines]
    assert all(command and command[1] in VERBS for command in commands)


def test_the_kit_is_told_of() -> None:
    said = page("operations.md").partition("\n## Operator's kit\n")[2]
    files = [path for path in OPS.rglob("*") if path.is_file()]
    assert {str(path.relative_to(ROOT)) for path in files if f"`{path.relative_to(ROOT)}`" not in said} == set()
