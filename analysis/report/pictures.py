"""The static figures of a result directory as data URIs: scaled down, in few colours, and within a budget."""

import base64
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from analysis.figures.drawing import KINDS
from analysis.records.load import ResultsError

WIDTH, COLOURS = 1200, 256
MARKUP = 600  # bytes of a figure on the page, without its picture and words


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure on the page: its name, what it shows, the PNG as a data URI, and its size."""

    name: str
    text: str
    source: str
    width: int
    height: int


def pictures_of(folder: Path, budget: int) -> tuple[list[Picture], list[str]]:
    """The figures that fit into so many bytes, most telling first, and the names of those that do not."""
    found, without = [], []
    for path in sorted((folder / "figures").glob("*.png"), key=_rank):
        picture = _picture(path, path.stat().st_mtime_ns)
        size = len(picture.source) + len(picture.text.encode()) * 2 + MARKUP
        if size > budget:
            without.append(path.stem)
            continue
        budget -= size
        found.append(picture)
    return found, without


def _kind(path: Path) -> str:
    return path.stem.split("-")[0]


def _where(suffix: str) -> str:
    """The values of further axes that the name of a figure ends in, as -label_noise-0.25, in a sentence."""
    found = re.findall(r"-([A-Za-z_]\w*)-(.+?)(?=-[A-Za-z_]\w*-|$)", suffix)
    values = ", ".join(f"{name.replace('_', ' ')} = {value}" for name, value in found)
    return f"Here {values}." if values else ""


def _rank(path: Path) -> tuple[int, str]:
    """The order of figures: by kind, and by name within a kind."""
    kinds = [kind.name for kind in sorted(KINDS.values(), key=lambda kind: kind.rank)]
    return (kinds.index(_kind(path)) if _kind(path) in kinds else len(kinds), path.stem)


@lru_cache(maxsize=64)
def _picture(path: Path, written: int) -> Picture:
    """The figure in a file that was written at this time, so that none is scaled down twice."""
    try:
        with Image.open(path) as image:
            image.load()
            shown = image.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise ResultsError(f"{path}: cannot be read as PNG ({error}); `python run.py report` draws it again") from None
    width, height = shown.size
    if width > WIDTH:
        shown = shown.resize((WIDTH, round(height * WIDTH / width)), Image.Resampling.LANCZOS)
    held = io.BytesIO()
    shown.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(held, "PNG")
    source = f"data:image/png;base64,{base64.b64encode(held.getvalue()).decode()}"
    kind = KINDS.get(_kind(path))
    text = f"{kind.caption if kind else ''} {_where(path.stem.removeprefix(_kind(path)))}".strip()
    return Picture(name=path.stem, text=text, source=source, width=shown.width, height=shown.height)
