"""Write what the playground's page and its documentation keep: `python docs/playground.py`, about two minutes.

It trains in Python what the page compares with (simulator/playground/recorded.json), prints the sheet for teachers as a
PDF, and films lesson 2 for the README. Pictures need Chromium. Nothing of this is typed; a test fails where the code
that determines results is no longer that of the record.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import run
from analysis.playground.lessons import SEEDS, questions
from docs.write import BROWSERS
from simulator.playground.command import open_sweep
from simulator.playground.recorded import python_runs, write_recorded

DOCS = ROOT / "docs"
SHEET, FILM = "teachers_sheet.pdf", "playground.gif"
SIZE = (1180, 760)  # of the film's window
EVERY = 3  # frames of the path from picture to picture
FIRST, EACH, LAST = 1800, 110, 4000  # milliseconds that pictures stay
WIDTH, COLORS = 820, 96
GO_TO = "(slider, place) => { slider.value = place; slider.dispatchEvent(new Event('input')); }"


def record() -> None:
    """Train in Python what the page compares with, and keep it."""
    sweep, world = open_sweep(Path("playground"), (), served=False, out=Path("playground.html"))
    runs = python_runs(world, sweep, questions(), SEEDS, lambda text: run.say(text))
    run.say(f"record in {write_recorded(runs, ROOT / 'simulator' / 'playground')}")


def draw(page: Path) -> None:
    """Print the teacher's sheet, and film the page as it opens."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=next(filter(None, map(shutil.which, BROWSERS)), None))
        sheet = chromium.new_page()
        sheet.goto(f"{page.as_uri()}#sheet")
        sheet.wait_for_selector("#teacher-sheet .expected")
        sheet.pdf(
            path=DOCS / SHEET, format="A4", margin={"top": "16mm", "bottom": "16mm", "left": "16mm", "right": "16mm"}
        )
        film(list(pictures(chromium, page)))
        chromium.close()


def pictures(chromium: Any, page: Path) -> Iterator[Image.Image]:
    """Pictures of lesson 2: a guess, a prediction, and what comes out."""
    with tempfile.TemporaryDirectory() as folder:
        window = chromium.new_page(viewport=dict(zip(("width", "height"), SIZE, strict=True)))
        window.goto(f"{page.as_uri()}#lesson=2")
        window.wait_for_timeout(3000)
        window.locator("#chart").click(position={"x": 330, "y": 90})
        window.locator(".question input").first.check()
        yield picture(window, Path(folder))
        window.locator(".question .go").first.click()
        window.locator(".question .answer table").wait_for()
        window.evaluate("scrollTo(0, 0)")
        last = int(window.locator("#time").get_attribute("max"))
        for place in [*range(0, last, EVERY), last]:
            window.locator("#time").evaluate(GO_TO, place)
            yield picture(window, Path(folder))


def picture(window: Any, folder: Path) -> Image.Image:
    """What the window shows."""
    window.wait_for_timeout(60)
    window.screenshot(path=folder / "now.png")
    return Image.open(folder / "now.png").convert("RGB")


def film(found: list[Image.Image]) -> None:
    """Write the pictures as one that moves, in few colours."""
    height = round(WIDTH * SIZE[1] / SIZE[0])
    small = [picture.resize((WIDTH, height), Image.Resampling.LANCZOS) for picture in found]
    palette = small[-1].quantize(COLORS, Image.Quantize.MAXCOVERAGE)
    frames = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in small]
    times = [FIRST, *[EACH] * (len(frames) - 2), LAST]
    frames[0].save(DOCS / FILM, save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)


def main() -> None:
    """Write all of it."""
    record()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "playground.html"
        if code := run.main(["playground", "--out", str(page)]):
            raise SystemExit(code)
        draw(page)


if __name__ == "__main__":
    main()
