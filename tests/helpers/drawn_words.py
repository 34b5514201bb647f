"""The words of a figure as they are drawn: each with its size and where it lies, in points."""

from typing import Any, NamedTuple

from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure


class Word(NamedTuple):
    """A line of a text: its size, and left, low, right and high ends, all in points."""

    text: str
    size: float
    left: float
    low: float
    right: float
    high: float

    def meets(self, other: "Word", most: float) -> bool:
        """Whether the two overlap by more than so many points, across and along."""
        across = min(self.right, other.right) - max(self.left, other.left)
        return across > most and min(self.high, other.high) - max(self.low, other.low) > most


class Recorder(RendererBase):
    """Draws nothing, and keeps the texts that it is given."""

    def __init__(self, figure: Figure) -> None:
        super().__init__()
        self.figure, self.words = figure, list[Word]()

    def draw_path(self, *_: Any, **__: Any) -> None: ...

    def get_canvas_width_height(self) -> tuple[float, float]:
        return (self.figure.bbox.width, self.figure.bbox.height)

    def flipy(self) -> bool:
        return False

    def points_to_pixels(self, points: float) -> float:
        return points * self.figure.dpi / 72

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: Any, angle: float, ismath: Any = False, mtext: Any = None
    ) -> None:
        width, height, descent = self.get_text_width_height_descent(s, prop, ismath)
        across, along = (x - height + descent, x + descent), (y, y + width)
        if angle == 0:
            across, along = (x, x + width), (y - descent, y + height - descent)
        ends = (end * 72 / self.figure.dpi for end in (across[0], along[0], across[1], along[1]))
        self.words.append(Word(s, prop.get_size_in_points(), *ends))


def words_of(figure: Figure) -> list[Word]:
    """The words of a figure that is laid out."""
    recorder = Recorder(figure)
    figure.draw(recorder)
    return [word for word in recorder.words if word.text.strip()]
