"""Figures as PGF: commands with which LaTeX draws, and sets all words in the font of the paper.

The backend of matplotlib has a TeX engine measure each text. Here matplotlib measures by fonts of its own, so that no
TeX is needed and every machine writes the same. What is measured differs from what LaTeX sets, so that LaTeX is told
where the middle or the end of a text is, rather than where it begins. Names are escaped, which the backend leaves out.
"""

import io
import math
import re
from typing import Any

from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_pgf import RendererPgf
from matplotlib.text import Text

from analysis.figures.layout import Picture
from analysis.figures.look import WIDER
from analysis.records.safe_names import latex_text

HEAD = """\
% Needs \\usepackage{{pgf}}. It is {width:g} in wide, and its words have the font of the paper. Include it by
% \\input{{{name}.pgf}}, with the folder in which it lies.
\\begingroup%
\\makeatletter%
\\begin{{pgfpicture}}%
\\pgfpathrectangle{{\\pgfpointorigin}}{{\\pgfqpoint{{{width:f}in}}{{{height:f}in}}}}%
\\pgfusepath{{use as bounding box}}%
"""
END = "\\end{pgfpicture}%\n\\makeatother%\n\\endgroup%\n"
SIDES = {"left": "left,", "right": "right,", "center": ""}
WRITTEN = {"\N{MINUS SIGN}": "-", r"\mathdefault": r"\mathrm"}  # in formulas, of ticks


class Pgf(RendererPgf):
    """Draws as PGF, with texts measured by matplotlib and placed by LaTeX."""

    def get_text_width_height_descent(self, s: str, prop: Any, ismath: Any) -> Any:
        """How large a text is, in pixels."""
        return RendererBase.get_text_width_height_descent(self, s, prop, ismath)

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        """Write a text whose base line begins at (x, y)."""
        side = "left,"
        if mtext is not None and (angle == 0 or mtext.get_rotation_mode() == "anchor"):
            side = SIDES[mtext.get_horizontalalignment()]
            x, y = along_base_line(mtext, x, y, angle)
        inches = f"x={x / self.dpi:f}in,y={y / self.dpi:f}in"
        turn = f",rotate={angle:f}" if angle else ""
        size = round(prop.get_size_in_points() / WIDER, 2)
        font = f"\\fontsize{{{size:g}}}{{{1.2 * size:g}}}" + r"\bfseries" * (prop.get_weight() == "bold")
        self.fh.write(
            "\\definecolor{{textcolor}}{{rgb}}{{{:f},{:f},{:f}}}%\n".format(*gc.get_rgb()[:3])
            + f"\\pgftext[{side}base,{inches}{turn}]"
            + f"{{\\color{{textcolor}}{font}\\selectfont {words(s, ismath)}}}%\n"
        )


def along_base_line(text: Text, x: float, y: float, angle: float) -> tuple[float, float]:
    """The point of the base line through (x, y) that is nearest to where the text is to be."""
    place = text.get_transform().transform(text.get_unitless_position())
    right, up = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    far = (place[0] - x) * right + (place[1] - y) * up
    return x + far * right, y + far * up


def words(text: str, formulas: Any) -> str:
    r"""A text of matplotlib for LaTeX. formulas: whether what is between two $ is one, and \$ a $."""
    if not formulas:
        return latex_text(text)
    parts = re.split(r"(?<!\\)\$", text)
    return "".join(
        f"${formula(part)}$" if i % 2 else latex_text(part.replace(r"\$", "$")) for i, part in enumerate(parts)
    )


def formula(text: str) -> str:
    """What matplotlib has between two $, for LaTeX."""
    for sign, command in WRITTEN.items():
        text = text.replace(sign, command)
    return text


def pgf_of(figure: Picture, name: str) -> bytes:
    """A figure that is laid out as the content of `name`.pgf."""
    width, height = figure.get_size_inches()
    file = io.StringIO()
    file.write(HEAD.format(name=name, width=width, height=height))
    figure.draw(Pgf(figure, file))
    file.write(END)
    return file.getvalue().encode()
