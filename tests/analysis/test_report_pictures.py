"""Figures on the page: small, in their colours, and those that have no room named."""

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from analysis import ResultsError
from analysis.figures.style import PALETTE
from analysis.report import write_report
from analysis.report.page import LIMIT
from analysis.report.pictures import pictures_of
from tests.helpers.report_fixture import plant, rows_of

LOSSES = ("logistic", "hinge")


def page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def test_figures_are_scaled_down_and_those_beyond_the_budget_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = plant(tmp_path / "a", rows_of(LOSSES, 3))
    (source,) = re.findall(r'<img src="data:image/png;base64,([^"]+)"', page(folder))
    with Image.open(io.BytesIO(base64.b64decode(source))) as image:
        assert image.size == (1200, 600)
    noise = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    for number in range(3):
        Image.fromarray(noise).save(folder / "figures" / f"unknown-{number}.png")
    whole = len(page(folder).encode())
    monkeypatch.setattr("analysis.report.page.LIMIT", whole - 1000)
    text = page(folder)
    assert len(text.encode()) < whole - 1000
    assert 'alt="How does gold move as a policy leaves the reference' in text
    assert re.search(r"only in the folder <code>figures</code>: .*unknown-2\.", text)
    (folder / "figures" / "tradeoff.png").write_bytes(b"broken")
    with pytest.raises(ResultsError, match=r"tradeoff\.png: cannot be read as PNG"):
        write_report(folder)


def test_figures_keep_the_colours_of_losses(tmp_path: Path) -> None:
    curves = rows_of(LOSSES, 2)
    folder = plant(tmp_path / "a", curves)
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    axes.imshow(np.linspace(0, 1, 256)[None], cmap="cividis", aspect="auto", extent=(0, 8, -2, 0))
    for place, color in enumerate(PALETTE):
        axes.plot([0, 4, 8], [place, place + 1, place], "o-", color=color, markersize=4)
        axes.fill_between([0, 4, 8], place + 0.2, place + 0.8, color=color, alpha=0.15, linewidth=0)
    figure.savefig(folder / "figures" / "tradeoff.png", dpi=150)
    with Image.open(folder / "figures" / "tradeoff.png") as image:
        before = np.asarray(image.convert("RGB"), dtype=int)
    (picture,), _ = pictures_of(folder, LIMIT)
    with Image.open(io.BytesIO(base64.b64decode(picture.source.split(",")[1]))) as image:
        after = np.asarray(image.convert("RGB"), dtype=int)
    for color in ("#ffffff", *PALETTE):
        there = (before == [int(color[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=-1)
        assert there.sum() > 20
        assert np.abs(after - before)[there].max() <= 16, color
