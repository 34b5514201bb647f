"""Names of users are shown as text, and make names of files."""

from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser

from analysis.records.safe_names import drawable_text, file_name_part, printable, with_safe_names
from tests.helpers.hostile_names import HOSTILE


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_name_is_typeset(name: str) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=drawable_text(name))
    axes.set_title(drawable_text(name))
    assert [label.strip() for label in axes.get_legend_handles_labels()[1]] == [drawable_text(name).strip()]
    shown, is_math = axes.title._preprocess_math(axes.title.get_text())
    assert (shown.strip(), is_math) == (printable(name), False)
    figure.canvas.draw()


def test_what_is_typeset_beside_a_name_still_is() -> None:
    parsed = MathTextParser("agg").parse(f"{drawable_text(HOSTILE[0])} at KL($\\pi$)")
    assert parsed.width > MathTextParser("agg").parse(r"KL($\pi$)").width


@pytest.mark.parametrize("name", HOSTILE)
def test_a_part_of_a_file_name_is_one(name: str, tmp_path: Path) -> None:
    part = file_name_part(f"-axis-{name}")
    path = tmp_path / f"regularization{part}.png"
    assert path.parent == tmp_path
    path.write_bytes(b"")
    assert len({file_name_part(other) for other in (name, f"{name}x", name.replace("$", "%"))}) >= 2


@pytest.mark.parametrize("name", ["-label_noise-0.25", "-world_language_text-texts_größe.txt", "-members-3"])
def test_names_of_files_that_were_fine_stay_as_they_are(name: str) -> None:
    assert file_name_part(name) == name


def test_spelling_a_table_keeps_what_needs_none() -> None:
    table = pd.DataFrame({"run_id": ["$"], "loss": ["a$"], "beta": [1.0], "plain": ["b"], "n$": [None]})
    found = with_safe_names(table, drawable_text)
    assert list(found) == ["run_id", "loss", "beta", "plain", r"n\$"]
    assert found.loc[0, ["run_id", "loss", "beta", "plain"]].tolist() == ["$", r"a\$", 1.0, "b"]
