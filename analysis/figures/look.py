"""How large figures are, and in which letters: for a page of ours, for one column of a paper, or for LaTeX to set.

A figure is drawn within `drawn_as`. What it draws asks here for sizes, so that no figure knows of papers.

In a paper all letters have 8 points, of a Times that matplotlib brings along, and what a figure says stands in its
caption. Where LaTeX sets the words, in whatever font the paper has, letters of more points are drawn, so that Computer
Modern has room: it is what LaTeX takes unless told, and WIDER than Times.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from analysis.figures.style import RC


@dataclass(frozen=True, kw_only=True)
class Look:
    """How figures are drawn.

    rc: what matplotlib is told. width: of a figure, in inches. points: of all letters, where there is one size.
    letter: the mean width of a letter, in its size, by weight. titled: whether it has a title and words in it.
    """

    rc: Mapping[str, Any]
    width: float
    letter: Mapping[str, float]
    titled: bool
    points: float | None = None


POINTS, WIDER = 8.0, 1.2
SIZES = (
    *("font.size", "axes.titlesize", "axes.labelsize", "figure.labelsize", "legend.fontsize"),
    *("xtick.labelsize", "ytick.labelsize"),
)
PAPER_RC = {
    **RC,
    **dict.fromkeys(SIZES, POINTS),
    "figure.dpi": 600,  # of a PNG, whose lines are thin
    "font.family": ["STIXGeneral", "DejaVu Sans"],
    "mathtext.fontset": "stix",
    "pdf.fonttype": 42,  # embedded as TrueType, which publishers ask for
    "svg.fonttype": "path",  # letters as shapes: who reads it need not have the font
}
TEX_RC = PAPER_RC | dict.fromkeys(SIZES, POINTS * WIDER)
PAGE = Look(rc=RC, width=3.4, letter={"normal": 0.53, "bold": 0.60}, titled=True)
PAPER = Look(rc=PAPER_RC, width=3.25, letter={"normal": 0.46}, titled=False, points=POINTS)
TEX = Look(rc=TEX_RC, width=3.25, letter={"normal": 0.46}, titled=False, points=POINTS * WIDER)
_LOOK: ContextVar[Look] = ContextVar("look", default=PAGE)


@contextmanager
def drawn_as(look: Look) -> Iterator[None]:
    """What is drawn in the block has this look."""
    token = _LOOK.set(look)
    try:
        with mpl.rc_context(dict(look.rc)):
            yield
    finally:
        _LOOK.reset(token)


def look() -> Look:
    """How figures are drawn now."""
    return _LOOK.get()


def letters(points: float) -> float:
    """The size of letters that have so many points on a page: the one size of all, where there is one."""
    return look().points or points
