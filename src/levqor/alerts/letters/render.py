"""Fills the templates. Values are escaped by the template's kind, and a name that a template misspells is an error."""

import textwrap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from levqor.domain.summary import Line, Page, Pages, Table

FOLDER = Path(__file__).parent / "templates"
COLUMNS = 76
LABEL = 22
COLOURS = {"ok": "#2e8b57", "watch": "#c77700", "act": "#d0342c", "unknown": "#7a7f87", "plain": "#7a7f87", "spark": "#4a82c4"}
"""Seen on white and on black; they mark, and never carry text that has to be read."""


def render(summary: Page) -> Pages:
    """The same words in both."""
    return Pages(text=_page("summary.txt", summary), html=_page("summary.html", summary))


def _page(name: str, summary: Page) -> str:
    return f"{_environment().get_template(name).render(summary=summary, colours=COLOURS).strip()}\n"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=select_autoescape(("html",), default=True, disabled_extensions=("txt",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"wrapped": wrapped, "aligned": aligned, "entry": entry}
    return environment


def wrapped(text: str, indent: int = 0) -> str:
    """At most 76 columns; a word that is longer stays whole."""
    room = " " * indent
    return textwrap.fill(text, COLUMNS, initial_indent=room, subsequent_indent=room, break_long_words=False, break_on_hyphens=False)


def entry(line: Line) -> str:
    """Mark, label and value; labels are of one width wherever they allow it."""
    head = f"{line.tone.mark:>2} {line.label:<{LABEL}} "
    return textwrap.fill(line.value, COLUMNS, initial_indent=head, subsequent_indent=" " * 6, break_long_words=False)


def aligned(table: Table) -> str:
    """The first column to the left, figures to the right."""
    rows = [table.columns, *table.rows]
    widths = [max(len(row[n]) for row in rows) for n in range(len(table.columns))]
    return "\n".join(f"   {_row(row, widths)}" for row in rows)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([cells[0].ljust(len(first)), *others])
