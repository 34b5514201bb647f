"""Names that users chose are shown as they are, wherever: nothing in them is a command, a tag, a formula or a path."""

import json
import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import run
from analysis.figures.drawing import draw_all, draw_losses
from analysis.published.verdicts import text as verdicts_text
from analysis.records.names import loss_label
from analysis.records.safe_names import printable
from analysis.report import write_report
from analysis.report.terminal_text import text
from simulator import Sweep
from simulator.common import errors
from tests.helpers.hostile_names import HOSTILE
from tests.helpers.report_fixture import CLAIM, beside, best_of_n, data_in, oracle, plant, rows_of

OPENED: list[Path] = []


def note_writing(event: str, arguments: tuple[Any, ...]) -> None:
    """Remember every file that is opened for writing, made or renamed, while a test asks for it."""
    if WATCHING and event == "open" and isinstance(arguments[0], str | bytes | Path):
        mode, flags = arguments[1], arguments[2]
        if (isinstance(mode, str) and set(mode) & set("wax+")) or (mode is None and flags & 3):
            OPENED.append(Path(str(arguments[0])))
    if WATCHING and event in ("os.mkdir", "os.rename", "os.link", "os.symlink"):
        OPENED.extend(Path(str(path)) for path in arguments[:2] if isinstance(path, str | Path))


WATCHING: list[bool] = []
sys.addaudithook(note_writing)


@pytest.fixture
def written() -> Iterator[list[Path]]:
    """Files that the test writes."""
    OPENED.clear()
    WATCHING.append(True)
    yield OPENED
    WATCHING.clear()


def hostile_losses() -> pd.DataFrame:
    """What losses.parquet says of the hostile losses."""
    z = np.linspace(-6, 6, 61)
    each = [pd.DataFrame({"loss": name, "kappa": 0.5, "z": z, "f": (z - 1) ** 2, "slope": 2 * z}) for name in HOSTILE]
    return pd.concat(each, ignore_index=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A result directory whose losses, and values and names of an axis, are hostile."""
    curves = pd.concat(
        [
            rows_of(HOSTILE[:5], 2, world_language_text=HOSTILE[5], **{"odd_$axis^": HOSTILE[6]}),
            rows_of(HOSTILE[:5], 2, world_language_text=HOSTILE[7], **{"odd_$axis^": HOSTILE[0]}),
            best_of_n(2).assign(world_language_text=HOSTILE[5]),
            oracle(),
        ],
        ignore_index=True,
    )
    tables = beside(curves, HOSTILE[3]) | {"losses": hostile_losses()}
    planted = plant(tmp_path / "results", curves.assign(mu_squared=curves["kl"] * 2), tables)
    (planted / "config.toml").write_text(f'"{HOSTILE[3]}" = 1', encoding="utf-8")
    return planted


def test_a_terminal_is_told_names_and_no_commands(folder: Path) -> None:
    told = text(folder)
    assert all(line.isprintable() for line in told.split("\n"))
    assert r"a\u2028b\x1b[31m\nc\x00.py:f" in told
    claim = CLAIM | {"statement": "of \x1b[31m", "note": "\x07"}
    assert all(line.isprintable() for line in verdicts_text([claim]).split("\n"))


@pytest.mark.long_only
@pytest.mark.slow
def test_figures_show_names_as_they_are_and_stay_in_their_folder(folder: Path, written: list[Path]) -> None:
    paths = draw_all(folder)
    assert paths
    assert {path.parent for path in paths} == {folder / "figures"}
    assert len(set(paths)) == len(paths)
    assert len({path for path in paths if path.name.startswith("tradeoff")}) == 8  # four kinds at each of two points
    inside = [path for path in written if folder in path.parents]
    assert inside
    assert [path for path in written if folder not in path.parents and "matplotlib" not in str(path)] == []
    for path in paths:
        if path.suffix == ".svg":
            ElementTree.parse(path)  # control characters would make it no XML
    shown = (folder / "figures").glob("losses.svg")
    words = " ".join(ElementTree.parse(next(shown)).getroot().itertext())
    for name in HOSTILE[:7]:  # as many as a panel names, each as far as there is room
        assert printable(loss_label(name))[:25] in words


def test_the_page_holds_names_as_text(folder: Path, written: list[Path]) -> None:
    (folder / "claims.json").write_text(json.dumps([CLAIM | {"statement": HOSTILE[3] + "\ud800"}]))
    page = write_report(folder).read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == page.count("<script>") + 1
    assert "alert(1)</script>" not in page
    assert "\u2028" not in page.split('id="data">')[1].split("</script>")[0]
    families = {family["name"] for part in data_in(page)["parts"] for family in part["families"]}
    assert set(HOSTILE[:5]) <= families
    assert [path for path in written if folder not in path.parents] == []


def test_a_picture_of_hostile_losses(tmp_path: Path) -> None:
    draw_losses(hostile_losses(), tmp_path / "losses.svg")
    assert "we$ird_.py:f" in (tmp_path / "losses.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOSTILE)
def test_errors_about_a_sweep_show_names_and_no_commands(name: str, tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "sweep.toml"
    for table in (f"[data]\n{json.dumps(name)} = 1", f"[sweep]\nloss = {json.dumps(name)}", f"a = {json.dumps(name)}"):
        path.write_text(table, encoding="utf-8")
        assert run.main(["sweep", str(path), "--dry-run"]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert error[:-1].isprintable()
        assert errors.printable(name)[:40] in error.replace("\\\\", "\\")


def test_what_cannot_be_encoded_is_spelled(tmp_path: Path, capsys: Any) -> None:
    assert run.main(["sweep", str(tmp_path / "\udcff\x1b.toml"), "--dry-run"]) == 2
    assert re.search(r"\\udcff\\x1b\.toml: cannot be read", capsys.readouterr().err)


def test_paths_with_control_characters_are_refused() -> None:
    for tables in ({"world": {"language": {"text": "a\x00"}}}, {"sweep": {"loss": "a\n.py:f"}}):
        with pytest.raises(ValueError, match="must not have control characters"):
            Sweep.model_validate(tables)
