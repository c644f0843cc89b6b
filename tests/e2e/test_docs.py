"""What the code has, the documentation names; what the documentation says to type, exists."""

import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.e2e.documented import DOCS, ROOT, metrics, page, routes, settings_row

from levqor.cli.verbs import VERBS
from levqor.domain.decisions import Action, Code
from levqor.domain.errors import LevqorError
from levqor.domain.flags import DEFAULTS
from levqor.domain.fleet import WorkerState
from levqor.settings import Settings

MARKDOWN = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
GLOSSARY = re.findall(r"\*\*([a-z -]+)\*\*", page("glossary.md").partition("\n## ")[0])


@pytest.mark.parametrize("field", Settings.model_fields)
def test_a_setting_is_documented_with_its_variables_default_and_meaning(field: str) -> None:
    row = settings_row(field)
    assert row in page("settings.md").splitlines(), f"docs/settings.md lacks this row:\n{row}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    named = re.findall(r"^\| `LEVQOR_(\w+)`", page("settings.md"), re.MULTILINE)
    assert sorted(named) == sorted(field.upper() for field in Settings.model_fields)


def test_every_route_is_documented_and_no_other() -> None:
    """Paths as people type them: `{queue:path}` is `{queue}`."""
    documented = set(re.findall(r"`((?:GET|POST|PUT|DELETE) /[^\s`?]*)`", page("http.md")))
    assert documented == {f"{method} {path}" for method, path in routes()}


def test_every_metric_is_documented_with_its_type_and_labels_and_no_other() -> None:
    rows = re.findall(r"^\| `(levqor_\w+)` \| (\w+) \|([^|]*)\|", page("metrics.md"), re.MULTILINE)
    documented = {name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels)))) for name, kind, labels in rows}
    assert documented == metrics()


@pytest.mark.parametrize("state", WorkerState)
def test_a_workers_state_is_documented(state: WorkerState) -> None:
    assert f"`{state.value}`" in page("metrics.md")


def commands() -> Iterator[str]:
    """`flags set` and the like: every command, with its group's name before it."""
    for name, verb in VERBS.items():
        if verb.is_hidden:
            continue
        found: Any = getattr(importlib.import_module(verb.module), verb.attribute)
        names = [command.name or "" for command in found.registered_commands] if isinstance(found, typer.Typer) else [""]
        yield from (f"{name} {command}".strip() for command in names)


def test_every_command_is_documented_and_no_other() -> None:
    documented = {match.strip() for match in re.findall(r"^\| `levqor ([a-z]+(?: [a-z]+)?)(?=[ `])", page("cli.md"), re.MULTILINE)}
    assert documented == set(commands())


def exit_codes(kind: type[LevqorError]) -> set[int]:
    return {kind.exit_code}.union(*(exit_codes(child) for child in kind.__subclasses__()))


@pytest.mark.parametrize("code", sorted({0, 130} | exit_codes(LevqorError)))
def test_an_exit_code_is_documented(code: int) -> None:
    assert re.search(rf"^\| {code} \|", page("cli.md"), re.MULTILINE)


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_flag_is_documented_with_its_default(name: str) -> None:
    default = str(DEFAULTS[name]).lower()
    assert re.search(rf"^\| `{name}` \|.*\| `{default}` \|", page("flags.md"), re.MULTILINE)


@pytest.mark.parametrize("word", [*Action, *Code])
def test_an_action_or_reason_code_is_documented(word: str) -> None:
    assert f"`{word}`" in page("http.md")


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_word_of_the_glossary_is_in_use(word: str) -> None:
    others = [path for path in MARKDOWN if path.name != "glossary.md"]
    sources = sorted((ROOT / "src").rglob("*.py"))
    assert any(word in path.read_text(encoding="utf-8").lower() for path in [*others, *sources])


def test_the_glossary_explains_every_action_and_state() -> None:
    """Words that the API answers and that a reader may look up."""
    assert {"freeze", "hold", "step", "calm", "unknown", "no traffic", "not configured", "mode", "target"} <= set(GLOSSARY)


def test_what_the_readme_says_to_make_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", "docs/operations.md"):
        said = set(re.findall(r"(?:^|`|&& )make ([a-z]+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        assert said <= targets, name


def test_the_readme_begins_with_make_up_and_make_test() -> None:
    said = re.findall(r"^make ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert said[:2] == ["up", "test"]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_page_says_to_type_is_a_command(path: Path) -> None:
    known = {command.split()[0] for command in commands()} | {"VERB", "--install-completion", "--version"}
    said = re.findall(r"(?:`|^\$ |^)(?:\.venv/bin/)?levqor ([\w-]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(said) <= known


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_between_pages_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        linked = path if not file else path.parent / file
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}, target


def test_decisions_are_numbered_without_a_gap_and_listed() -> None:
    pages = sorted(DOCS.glob("decisions/[0-9]*.md"))
    assert [int(found.name[:4]) for found in pages] == list(range(1, len(pages) + 1))
    listed = re.findall(r"^\d+\. \[.+\]\((.+)\)$", page("decisions/README.md"), re.MULTILINE)
    assert listed == [found.name for found in pages]


@pytest.mark.parametrize("path", sorted(DOCS.glob("decisions/[0-9]*.md")), ids=lambda path: path.stem)
def test_a_decision_says_its_context_choice_cost_and_what_would_change_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Choice", "What it costs", "What would change our mind"]


def test_every_dependency_is_justified_with_its_locked_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[\[<>=;]", need)[0] for needs in project["optional-dependencies"].values() for need in needs}
    rows = dict(
        re.findall(r"^\| ([a-z][\w-]*)(?: \(extra\))? \|.*\| ([\d.]+) \|[^|]*\|$", page("decisions/0009-dependencies.md"), re.MULTILINE)
    )
    assert set(rows) == names
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert {name for name in rows if f"\n{name}=={rows[name]} " not in f"\n{lock}"} == set()


def test_the_changelog_has_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
