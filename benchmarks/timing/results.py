"""From measurements to tables, on the terminal and in RESULTS.md, of which every command writes its own section."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.timing.rounds import Spread
from simulator.common.atomic_files import write_atomically
from simulator.common.terminal import say

RESULTS = Path(__file__).resolve().parents[1] / "RESULTS.md"
TITLE = "# Results of the benchmarks\n\nEach section is written by its command with `--record`, and by nothing else.\n"
NEEDS_EXTRA = "TRL is missing, so it is left out; it needs the extra: pip install -e '.[bench]'"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells as text, a row each, and what stands above them."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    @property
    def text(self) -> str:
        """The table as Markdown that is aligned, too; the first column to the left and numbers to the right."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]

        def drawn(cells: Sequence[str]) -> str:
            first, *rest = zip(cells, widths, strict=True)
            return f"| {' | '.join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)])} |"

        rule = "|".join(["", f":{'-' * (widths[0] + 1)}", *(f"{'-' * (w + 1)}:" for w in widths[1:]), ""])
        return "\n".join([self.caption, "", drawn(self.columns), rule, *map(drawn, self.rows)])


@dataclass(frozen=True, kw_only=True)
class Section:
    """What one command found. about: how it was measured."""

    title: str
    machine: str
    about: str
    tables: Sequence[Table]

    def text(self, command: str) -> str:
        """The section as Markdown, without its heading; `command` finds it again."""
        measured = f"`{command}` on {date.today():%Y-%m-%d}: {self.machine}."
        return "\n\n".join([measured, self.about, *(table.text for table in self.tables)])


def with_section(document: str, title: str, text: str) -> str:
    """The document with the section of this title replaced, or added behind the others."""
    head, *sections = document.split("\n## ")
    named = {section.partition("\n")[0]: section.partition("\n")[2].strip("\n") for section in sections}
    named[title] = text.strip("\n")
    return "\n## ".join([head.rstrip("\n") + "\n", *(f"{name}\n\n{body}\n" for name, body in named.items())])


def tell(section: Section, command: str, *, record: bool) -> None:
    """Print what a command found, and keep it in RESULTS where that is asked for."""
    text = section.text(command)
    say(*text.split("\n"))
    if record:
        before = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else TITLE
        write_atomically(RESULTS, with_section(before, section.title, text).encode())
        say("", f"recorded in {RESULTS.name}")


def on_device(title: str, device: torch.device) -> str:
    """The title of a section, one for each kind of device."""
    return title if device.type == "cpu" else f"{title}, on a GPU"


@cache
def trl_is_here() -> bool:
    """Whether TRL can be measured; where not, one line on standard error says how to have it, once."""
    here = find_spec("trl") is not None
    if not here:
        say(NEEDS_EXTRA, stream=sys.stderr)
    return here


def jax_is_here() -> bool:
    """Whether JAX can be measured."""
    return find_spec("jax") is not None


def number(value: float) -> str:
    """Three significant digits."""
    if abs(value) >= 999.5:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if value else "0"


def counted(count: int, word: str) -> str:
    """So many of what a word names."""
    return f"{count} {word}{'s' * (count != 1)}"


def shown(spread: Spread, scale: float = 1.0) -> str:
    """A median with its quartiles."""
    return f"{number(scale * spread.median)} [{number(scale * spread.low)}, {number(scale * spread.high)}]"


def percent(share: Spread) -> str:
    """A share as a percentage with its quartiles."""
    return f"{100 * share.median:.1f} % [{100 * share.low:.1f}, {100 * share.high:.1f}]"
