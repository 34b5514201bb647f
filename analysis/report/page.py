"""report.html, written whole or not at all, of fewer than 1.5 MB.

What the controls choose from takes what it needs, as far as DATA bytes, and figures fill what is left. A policy in the
page's head forbids it to load anything, or to run any script other than those that are in it, which it knows by their
hashes.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FunctionLoader, StrictUndefined, Template
from markupsafe import Markup

from analysis.headline.headline import headline, sentences
from analysis.headline.statement import Statement
from analysis.published.verdicts import tally
from analysis.records.about import runs_of_sweep
from analysis.records.atomic_files import write_atomically
from analysis.records.load import (
    ResultsError,
    failures,
    final_rows,
    is_finished,
    load,
    load_table,
    mixed_code_note,
    trained_rows,
)
from analysis.records.number_format import number
from analysis.report.explorer.data import page_content, page_json
from analysis.report.facts import machine_facts, source_facts, sweep_facts, training_facts, world_facts
from analysis.report.pictures import pictures_of
from analysis.report.side_tables import load_claims, load_config, load_world

LIMIT = 1_500_000  # bytes of the page
DATA = 650_000  # of them, for what the controls choose from
SPARE = 20_000
SIGNS = {"holds": "✓", "fails": "✗", "undecided": "?"}


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page but for its pictures: what fills the template, and how many bytes the pictures may take."""

    folder: Path
    template: Template
    context: dict[str, Any]
    room: int

    def scale_pictures(self) -> None:
        """Scale the figures down that the folder holds now, so that `write` need not. Raises ResultsError."""
        pictures_of(self.folder, self.room)

    def write(self) -> Path:
        """Write the page with the figures that the folder holds now; its path. Raises ResultsError."""
        pictures, without = pictures_of(self.folder, self.room)
        text = self.template.render(self.context | {"pictures": pictures, "without": without})
        return write_atomically(self.folder / "report.html", text.encode(errors="backslashreplace"))


def prepare_page(folder: Path, said: Sequence[Statement] | None = None, curves: pd.DataFrame | None = None) -> Page:
    """All of a page but its pictures, which may still be drawn. Raises ResultsError.

    said: its headline, and curves: its curves, where they are known.
    """
    curves = load(folder) if curves is None else curves
    if final_rows(curves).empty:
        what = "every run diverged" if len(trained_rows(curves)) else "no run has a measurement"
        raise ResultsError(f"{folder}: {what}, so there is nothing to show; a smaller learning rate may help")
    said = headline(folder) if said is None else said
    chosen = page_content(folder, curves, DATA)
    data, left_out = page_json(chosen, DATA)
    scripts = [own_file("drawing.js"), own_file("page.js"), own_file("figures.js")]
    runs = load_table(folder, "runs")
    context: dict[str, Any] = {
        "title": folder.resolve().name,
        "count": count_text(curves),
        "headline": [{"text": text, "sure": each.sure} for each, text in zip(said, sentences(said), strict=True)],
        "cite": citation(folder.resolve().name, runs),
        "ended": is_finished(folder),
        "facts": [
            *sweep_facts(curves, is_finished(folder), failures(folder)),
            *world_facts(load_world(folder)),
            *training_facts(runs),
            *source_facts(mixed_code_note(folder)),
            *machine_facts(runs),
        ],
        "config": load_config(folder),
        "claims": (claims := load_claims(folder)),
        "tally": tally(claims) if claims else "",
        "signs": SIGNS,
        "scored": any(series.method != "gpo" for _, found in chosen.parts for series in found),
        "has_oracle": any(len(part.best) for part, _ in chosen.parts),
        "said": len(chosen.responses) > 0,
        "has_laws": bool(chosen.laws.policy),
        "left_out": left_out,
        "data": Markup(data),
        "style": Markup(own_file("page.css")),
        "scripts": [Markup(script) for script in scripts],
        "hashes": script_hashes(scripts),
        "pictures": [],
        "without": [],
    }
    template = environment().get_template("template.html")
    room = LIMIT - SPARE - len(template.render(context).encode(errors="backslashreplace"))
    return Page(folder=folder, template=template, context=context, room=room)


def count_text(curves: pd.DataFrame) -> str:
    """How many runs there are, and how many diverged."""
    runs = runs_of_sweep(curves[["run_id", "method", "status"]])
    count, lost = runs["run_id"].nunique(), runs.loc[runs["status"] == "diverged", "run_id"].nunique()
    return f"{count:,} run{'s' * (count != 1)}, {f'{lost:,}' if lost else 'none'} diverged"


def citation(name: str, runs: pd.DataFrame) -> str:
    """How to cite the records of a sweep: with which version of which code they were made; nothing if not known."""
    known = [
        f"{label} {', '.join(map(str, runs[column].dropna().unique()))}"
        for column, label in (("simulator_version", "alignment-simulator"), ("results_source", "results"))
        if column in runs and runs[column].notna().any()
    ]
    return f"sweep “{name}”, {', '.join(known)}." if known else ""


def environment() -> Environment:
    """Jinja with everything escaped that is not known to be safe."""
    made = Environment(
        loader=FunctionLoader(own_file),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["short"] = lambda value: number(value).replace("-", "−")
    return made


def own_file(name: str) -> str:
    """The text of a file beside this one."""
    return (files("analysis.report") / name).read_text(encoding="utf-8").replace("\r", "")


def script_hashes(scripts: Sequence[str]) -> str:
    """The hashes of scripts as a page's policy lists them."""
    return " ".join(map(_hash, scripts))


def _hash(script: str) -> str:
    """The hash by which a page's policy knows a script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
