"""A page over several sweeps: those of a paper, or those that someone wants to compare.

Of each it has the headline, its first figure and a link to its page. Sweeps that are compared have the settings that
differ beside each other, and gold at equal KL: ends of training across beta, averaged over losses and further axes,
with the differences from the first sweep, paired over seeds.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from analysis.figures.drawing import files_of
from analysis.figures.look import PAGE, drawn_as
from analysis.figures.offline.axis_values import draw
from analysis.headline.headline import headline, sentences
from analysis.published.verdicts import tally
from analysis.records.about import settings_of
from analysis.records.atomic_files import write_atomically
from analysis.records.load import ResultsError, final_rows, load, pairwise_rows
from analysis.records.many import differing_settings, settings_in
from analysis.records.number_format import number
from analysis.report.page import LIMIT, SIGNS, count_text, environment, own_file, script_hashes
from analysis.report.pictures import Picture, picture_of, pictures_of

MOST = 7  # sweeps that one figure compares
AXIS = "sweep"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One of the sweeps on the page."""

    name: str
    link: str
    count: str
    headline: list[dict[str, Any]]  # text, and whether it is sure
    picture: Picture | None


def write_paper_page(title: str, folders: Sequence[Path], claims: Sequence[dict[str, Any]], target: Path) -> Path:
    """Write the page of a paper's sweeps into their common folder; its path. Raises ResultsError.

    It is report.html, and paper.html where that folder is one of the sweeps, and has a page of its own.
    """
    page = target / ("paper.html" if target in folders else "report.html")
    context = {"title": title, "claims": list(claims), "tally": tally(claims) if claims else "", "comparison": []}
    return write(page, context | {"sweeps": shown(folders, page), "settings": [], "said": []})


def write_comparison(folders: Sequence[Path], page: Path) -> Path:
    """Write a page that compares sweeps; its path. Raises ResultsError."""
    names = names_of(folders)
    context: dict[str, Any] = {"title": " and ".join(names), "claims": [], "tally": "", "settings": differing(folders)}
    pictures, said = comparison(folders, names, page)
    return write(page, context | {"sweeps": shown(folders, page), "comparison": pictures, "said": said})


def write(page: Path, context: dict[str, Any]) -> Path:
    """Write a page from the template of several sweeps."""
    scripts = [own_file("figures.js")]
    how = {
        "style": Markup(own_file("page.css")),
        "scripts": [Markup(script) for script in scripts],
        "hashes": script_hashes(scripts),
        "signs": SIGNS,
    }
    text = environment().get_template("several.html").render(context | how)
    return write_atomically(page, text.encode(errors="backslashreplace"))


def names_of(folders: Sequence[Path]) -> list[str]:
    """What sweeps are called: by their folders, with those above where two have the same name."""
    paths = [folder.resolve() for folder in folders]
    depth = 1
    while depth < 6 and len({path.parts[-depth:] for path in paths}) < len({*paths}):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]


def shown(folders: Sequence[Path], page: Path) -> list[Shown]:
    """The sweeps as the page has them. Raises ResultsError."""
    found = []
    for folder, name in zip(folders, names_of(folders), strict=True):
        curves = load(folder)
        pictures, _ = pictures_of(folder, LIMIT) if (folder / "figures").is_dir() else ([], [])
        own = folder / "report.html"
        link = Path(os.path.relpath(own, page.parent)).as_posix() if own.exists() else ""
        said = headline(folder) if not final_rows(curves).empty else []
        lines = [{"text": text, "sure": each.sure} for each, text in zip(said, sentences(said), strict=True)]
        picture = next(iter(pictures), None)
        found.append(Shown(name=name, link=link, count=count_text(curves), headline=lines, picture=picture))
    return found


def differing(folders: Sequence[Path]) -> list[tuple[str, list[str]]]:
    """The settings in which sweeps differ, with the value of each; "-" for one that a sweep lacks."""
    settings = [settings_in(folder) for folder in folders]
    keys = [*differing_settings(settings)]
    keys += [
        key
        for key in dict.fromkeys(key for each in settings for key in each)
        if key.startswith("sweep.") and key not in keys and len({repr(each.get(key)) for each in settings}) > 1
    ]
    return [(key, [setting_text(each.get(key)) for each in settings]) for key in keys]


def setting_text(value: Any) -> str:
    """A value of a setting, as people read it."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return ", ".join(map(setting_text, value))
    return number(value) if isinstance(value, float) else str(value)


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The rows of sweeps that can be compared, as one table: at the values of further axes that all of them have.

    What is the same in all runs of each sweep is what its name stands for, and is no column. Raises ValueError where
    they have no value of an axis in common.
    """
    names = [name for name in settings_of(tables[0]) if name not in (AXIS, "method", "loss", "beta", "kappa", "seed")]
    names += [name for table in tables[1:] for name in settings_of(table) if name not in (*names, *tables[0])]
    found = list(tables)
    for name in names:
        values = [set(table[name].dropna().unique()) if name in table else set() for table in found]
        if all(len(some) < 2 for some in values):
            found = [table.drop(columns=name, errors="ignore") for table in found]
            continue
        common = set.intersection(*values)
        if not common:
            raise ValueError(f"they have no value of {name} in common")
        found = [table[table[name].isin(common)] for table in found]
    return pd.concat(found, ignore_index=True)


def comparison(folders: Sequence[Path], names: Sequence[str], page: Path) -> tuple[list[Picture], list[str]]:
    """The figure that compares sweeps at equal KL, and what there is to say. Raises ResultsError."""
    if len(folders) > MOST:
        return [], [f"A figure compares at most {MOST} sweeps at equal KL, and here are {len(folders)}."]
    tables = []
    for folder, name in zip(folders, names, strict=True):
        rows = pairwise_rows(load(folder))
        rows = rows[rows["method"] == "gpo"]
        if final_rows(rows).empty:
            return [], [f"{name} has no training on pairs, so the sweeps are not compared at equal KL."]
        tables.append(rows.assign(**{AXIS: name, "run_id": name + "/" + rows["run_id"].astype(str)}))
    common = set.intersection(*(set(table["loss"]) for table in tables))
    if not common:
        return [], ["The sweeps have no loss in common, so they are not compared at equal KL."]
    left = sorted({loss for table in tables for loss in table["loss"]} - common)
    try:
        with drawn_as(PAGE):
            files = files_of(draw(together([table[table["loss"].isin(common)] for table in tables]), AXIS))
    except (ValueError, ResultsError) as error:
        return [], [f"The sweeps cannot be compared at equal KL: {error}."]
    words = [f"Compared are the losses that all have; left out: {', '.join(left)}."] if left else []
    found = picture_of(page.stem, files["svg"], files["csv"], "How do the sweeps differ at equal KL?")
    return [found] if found else [], words
