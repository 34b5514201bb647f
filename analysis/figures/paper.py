"""The figures of a result directory for one column of a paper, with captions that say what they found.

Each is drawn in a size of its own and must not be scaled: its letters have 8 points, as a caption has.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.figures.drawing import figures_of, file_of, kinds_showing, lay_out
from analysis.figures.layout import Picture
from analysis.figures.look import PAPER, TEX, drawn_as
from analysis.figures.pgf import pgf_of
from analysis.records.atomic_files import write_atomically
from analysis.records.safe_names import latex_text

CAPTIONS = "figures.tex"
INCLUDED = {  # the formats that LaTeX takes, the best first
    "pdf": "\\includegraphics{{\\figurefolder {name}.pdf}}",
    "pgf": "\\input{{\\figurefolder {name}.pgf}}",
    "png": "\\includegraphics{{\\figurefolder {name}.png}}",
}
HEAD = """\
% The figures with what they found: to copy from, or all by \\input. PDF and PNG need \\usepackage{graphicx}, and
% PGF needs \\usepackage{pgf}. Where they lie is said before: \\newcommand{\\figurefolder}{results/quickstart/paper/}
\\providecommand{\\figurefolder}{}
"""
FLOAT = """
\\begin{{figure}}
  \\centering
  {included}
  \\caption{{\\textbf{{{title}.}} {words}}}
  \\label{{fig:{name}}}
\\end{{figure}}
"""


def draw_for_paper(folder: Path, formats: Sequence[str], target: Path) -> list[Path]:
    """Draw every figure of a result directory into `target`, and write their captions; the paths written.

    formats: of "pdf", "pgf", "svg", "png". Raises ResultsError.
    """
    best = next((kind for kind in INCLUDED if kind in formats), "pdf")
    paths, floats = [], [HEAD]
    for name, draw in {**figures_of(folder), **examples_in(folder)}.items():
        files: dict[str, bytes] = {}
        for look, kinds in ((PAPER, [kind for kind in formats if kind != "pgf"]), (TEX, {"pgf"} & set(formats))):
            if kinds:
                with drawn_as(look):
                    figure = draw()
                    lay_out(figure)
                    files |= {kind: pgf_of(figure, name) if kind == "pgf" else file_of(figure, kind) for kind in kinds}
        paths += [write_atomically(target / f"{name}.{kind}", files[kind]) for kind in formats]
        floats.append(floating(figure, name, INCLUDED[best]))
    return [*paths, write_atomically(target / CAPTIONS, "".join(floats).encode())]


def examples_in(folder: Path) -> dict[str, Callable[[], Picture]]:
    """What draws the worked examples that an experiment left among the figures of a result directory."""
    drawn = {path.stem for path in (folder / "figures").glob("*.png")}
    return {name: kind.draw for name, kind in kinds_showing("worked").items() if name in drawn}


def floating(figure: Picture, name: str, included: str) -> str:
    """A figure of LaTeX, with its caption."""
    title, text = (latex_text(part.replace(r"\$", "$")) for part in (figure.title, figure.words))
    return FLOAT.format(included=included.format(name=name), title=title, words=text, name=name)
