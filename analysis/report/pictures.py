"""The static figures of a result directory as the page holds them: as SVG, with their data, within a budget.

A figure that is there as PNG alone is scaled down and has no data.
"""

import base64
import gzip
import io
import re
import string
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup
from PIL import Image, UnidentifiedImageError

from analysis.figures.drawing import KINDS
from analysis.records.load import ResultsError
from analysis.records.names import axis_label

WIDTH, COLOURS = 1200, 256
MARKUP = 900  # bytes of a figure on the page, without its picture and words
PLAIN = frozenset(b" /:=;,()'!*-._~@+$?" + (string.ascii_letters + string.digits).encode())  # in an address, as it is
ENCODED = [chr(byte) if byte in PLAIN else f"%{byte:02X}" for byte in range(256)]
POINT = 4 / 3  # pixels


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure on the page: its name, what it shows, the question that it answers, and itself as a data URI.

    source: without a sign that means something in HTML. csv: its data, packed by gzip and written in base64; nothing
    where it has none.
    """

    name: str
    title: str
    question: str
    source: Markup
    width: int
    height: int
    csv: str = ""

    @property
    def alt(self) -> str:
        """What stands for the picture where it cannot be seen."""
        return " ".join(filter(None, [f"{self.title}." if self.title else "", self.question])) or self.name

    @property
    def size(self) -> int:
        """The bytes that it takes on the page, at most."""
        return len(self.source) + len(self.csv) + 3 * len((self.title + self.question).encode()) + MARKUP


def pictures_of(folder: Path, budget: int) -> tuple[list[Picture], list[str]]:
    """The figures that fit into so many bytes, most telling first, and the names of those that do not."""
    found, without = [], []
    names = {path.stem for kind in ("svg", "png") for path in (folder / "figures").glob(f"*.{kind}")}
    places = ["", *sorted({_place(name) for name in names} - {""})]
    for name in sorted(names, key=lambda name: (max(places.index(_place(name)) - 1, 0), _rank(name))):
        drawn, plain = (folder / "figures" / f"{name}.{kind}" for kind in ("svg", "png"))
        path = drawn if drawn.exists() else plain
        make = _from_svg if drawn.exists() else _from_png
        picture = make(path, path.stat().st_mtime_ns)
        if picture.size > budget:
            without.append(name)
            continue
        budget -= picture.size
        found.append(picture)
    return found, without


def _kind(name: str) -> str:
    """The kind of a figure, by the name of its files: tradeoff of tradeoff-label_noise-0.25, by of by_label_noise."""
    head = name.split("-")[0]
    return head if head in KINDS else next((kind for kind in KINDS if head.startswith(f"{kind}_")), head)


def _place(name: str) -> str:
    """At which values of further axes a figure is, as the end of its name; the first come before the others."""
    return name.removeprefix(name.split("-")[0])


def _where(suffix: str) -> str:
    """The values of further axes that the name of a figure ends in, as -label_noise-0.25, in a sentence."""
    found = re.findall(r"-([A-Za-z_]\w*)-(.+?)(?=-[A-Za-z_]\w*-|$)", suffix)
    values = ", ".join(f"{axis_label(name)} {value}" for name, value in found)
    return f"Here {values}." if values else ""


def _question(name: str) -> str:
    """The question that a figure answers, and for which values of further axes."""
    kind = _kind(name)
    asked = KINDS[kind].caption.format(axis=axis_label(name.removeprefix(f"{kind}_"))) if kind in KINDS else ""
    return f"{asked} {_where(_place(name))}".strip()


def _rank(name: str) -> tuple[int, str]:
    """The order of figures: by kind, and by name within a kind."""
    kinds = [kind.name for kind in sorted(KINDS.values(), key=lambda kind: kind.rank)]
    return (kinds.index(_kind(name)) if _kind(name) in kinds else len(kinds), name)


@lru_cache(maxsize=128)
def _from_svg(path: Path, written: int) -> Picture:
    """The figure in a file that was written at this time, so that none is read twice. Raises ResultsError."""
    data = path.with_suffix(".csv")
    found = picture_of(path.stem, _read(path), _read(data) if data.exists() else b"", _question(path.stem))
    if found is None:
        raise ResultsError(f"{path}: cannot be read as SVG; `python run.py report` draws it again")
    return found


def picture_of(name: str, drawn: bytes, data: bytes, question: str) -> Picture | None:
    """A figure from its SVG and CSV; None where it is no SVG."""
    text = drawn.decode(errors="replace")
    size = re.search(r'<svg [^>]*?\bviewBox="0 0 ([\d.]+) ([\d.]+)"', text)
    if size is None:
        return None
    title = re.search(r"<dc:title>(.*?)</dc:title>", text, re.DOTALL)
    packed = gzip.compress(data, compresslevel=9, mtime=0) if data else b""
    width, height = (round(POINT * float(each)) for each in size.groups())
    return Picture(
        name=name,
        title=unescaped(title.group(1)) if title else "",
        question=question,
        source=Markup("data:image/svg+xml,") + Markup(percent_encoded(smaller(text))),
        width=width,
        height=height,
        csv=base64.b64encode(packed).decode(),
    )


def percent_encoded(text: str) -> str:
    """The text as an address holds it: bytes of UTF-8 other than PLAIN as % and two digits."""
    return "".join(ENCODED[byte] for byte in text.encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror or error})") from None


def unescaped(text: str) -> str:
    """The text of an element of XML."""
    for written, read in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&amp;", "&")):
        text = text.replace(written, read)
    return " ".join(text.split())


def smaller(text: str) -> str:
    """An SVG of matplotlib in fewer bytes: paths to a hundredth of a point, without comments and line ends."""
    text = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' d="[^"]*"', lambda found: _shorter(found.group()), text)
    text = re.sub(r"\s*\n\s*", " ", text)
    text = re.sub(r"> <", "><", text)
    return text.replace("'", "&apos;").replace('"', "'").strip()


def _shorter(path: str) -> str:
    return re.sub(r"-?\d+\.\d+", lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), path)


@lru_cache(maxsize=64)
def _from_png(path: Path, written: int) -> Picture:
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
    return Picture(
        name=path.stem,
        title="",
        question=_question(path.stem),
        source=Markup("data:image/png;base64,") + Markup(base64.b64encode(held.getvalue()).decode()),
        width=shown.width,
        height=shown.height,
    )
