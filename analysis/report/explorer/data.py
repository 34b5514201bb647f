"""What the page's controls choose from, as one JSON value that fits a budget.

Everything is there at first, and where that is too much, details go in the order of LEVELS.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.figures.style import loss_styles
from analysis.records.load import load_table
from analysis.records.names import axis_label, loss_label, losses_of
from analysis.report.explorer.axis_selection import Axis, Part, axes_of, parts_of, policies_of
from analysis.report.explorer.json_numbers import evenly_spaced, json_value, rounded, rounded_list
from analysis.report.explorer.page_budget import LEVELS, UNLIMITED, Level, left_out
from analysis.report.explorer.policy_summaries import (
    WIDTH,
    GoldDistributions,
    ResponseItems,
    ResponseTable,
    distribution_json,
    gold_distributions,
)
from analysis.report.explorer.slider_series import WORDS, Series, series_of

COLUMNS = ("kl", "kl_low", "kl_high", "gold", "gold_low", "gold_high", "proxy")
NAMES = {"beta": "β", "step": "training step", "n": "n, the best of so many", "tau": "τ"}


@dataclass(frozen=True, kw_only=True)
class PageContent:
    """All that can be chosen: parts with the series of each, what trained policies say, and the axes."""

    axes: list[Axis]
    parts: list[tuple[Part, list[Series]]]
    laws: GoldDistributions
    responses: ResponseTable
    styles: dict[str, dict[str, Any]]


def page_content(folder: Path, curves: pd.DataFrame, budget: int = UNLIMITED) -> PageContent:
    """What can be chosen of a sweep, of whose responses none are kept that cannot be shown in `budget` bytes.

    Raises ResultsError.
    """
    rows = policies_of(curves)
    axes = axes_of(rows)
    parts = [
        (part, [series_of(name, table) for name, table in part.families.items()])
        for part in parts_of(curves, rows, axes)
    ]
    others = [name for name in rows["family"].unique() if name not in set(losses_of(rows))]
    return PageContent(
        axes=axes,
        parts=parts,
        laws=gold_distributions(load_table(folder, "gold_law")),
        responses=ResponseTable(shown_responses(load_table(folder, "responses"), parts, budget)),
        styles=loss_styles([*losses_of(rows), *others]),
    )


def page_json(chosen: PageContent, budget: int) -> tuple[str, list[str]]:
    """The JSON of the page, of at most `budget` bytes where that can be, and sentences of what was left out."""
    for level in levels_that_may_fit(chosen.parts, budget):
        text = in_script(
            json.dumps(content_at_level(chosen, level), separators=(",", ":"), allow_nan=False, sort_keys=True)
        )
        if len(text.encode()) <= budget:
            break
    steps = [len(each.steps) for _, series in chosen.parts for each in series]
    seeds = [len(each.seeds) for _, series in chosen.parts for each in series]
    summaries = len(chosen.responses) > 0 or bool(chosen.laws.policy)
    return text, left_out(level, parts=len(chosen.parts), seeds=max(seeds), steps=max(steps), summaries=summaries)


def shown_responses(table: pd.DataFrame, parts: Sequence[tuple[Part, list[Series]]], budget: int) -> pd.DataFrame:
    """The responses of the runs of which a page of so many bytes may show some; all, where it may show each run's."""
    most = levels_that_may_fit(parts, budget)[0].summaries
    if most == UNLIMITED:
        return table
    runs = {run for _, series in parts for each in series for curve in each.runs for run in curve[:most]}
    shown = table[table["run_id"].isin(runs)]
    return shown if len(shown) else table


def levels_that_may_fit(parts: Sequence[tuple[Part, list[Series]]], budget: int) -> list[Level]:
    """The LEVELS without those that are known to be too much, since it would take long to write them."""
    return [level for level in LEVELS if level == LEVELS[-1] or bytes_of_paths(parts, level) <= budget]


def bytes_of_paths(parts: Sequence[tuple[Part, list[Series]]], level: Level) -> int:
    """The least that paths of single runs take on the page: of KL and gold, a digit and a comma at each checkpoint."""
    return sum(
        4 * len(evenly_spaced(len(each.steps), level.points)) * sum(map(bool, curve[: level.seeds]))
        for _, series in parts[: level.parts]
        for each in series
        for curve in each.runs
    )


def in_script(text: str) -> str:
    """JSON that cannot end the element that it stands in."""
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&\u2028\u2029"})


def content_at_level(chosen: PageContent, level: Level) -> dict[str, Any]:
    """All that the page's controls choose from."""
    responses = ResponseItems(chosen.responses)
    parts = [_part(part, series, chosen, responses, level) for part, series in chosen.parts[: level.parts]]
    return {
        "axes": [
            {"name": axis.name, "label": axis_label(axis.name), "values": [json_value(value) for value in axis.choices]}
            for axis in chosen.axes
        ],
        "parts": parts,
        "styles": {name: _style(style) for name, style in chosen.styles.items()},
        "bins": {"first": rounded(chosen.laws.first), "width": WIDTH},
        "prompts": responses.prompts,
        "items": responses.items,
    }


def _style(style: dict[str, Any]) -> dict[str, str]:
    """Colour, dash and marker of a loss in figures, in the words of the page."""
    dash = style["linestyle"]
    names = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
    spelled = names[dash] if isinstance(dash, str) else ",".join(f"{2 * length}px" for length in dash[1])
    return {"color": style["color"], "dash": spelled, "marker": style["marker"]}


def _part(
    part: Part, series: list[Series], chosen: PageContent, responses: ResponseItems, level: Level
) -> dict[str, Any]:
    """One combination of the axes."""
    at = [axis.choices.index(part.settings[axis.name]) if axis.name in part.settings else None for axis in chosen.axes]
    best = part.best.iloc[evenly_spaced(len(part.best), level.points)]
    runs = [run for each in series for curve in each.runs for run in curve if run in chosen.laws.reference]
    return {
        "at": at,
        "oracle": {"kl": rounded_list(best["kl"]), "gold": rounded_list(best["gold"])},
        "families": [_family(each, chosen.laws, responses, level) for each in series],
        "reference": distribution_json(chosen.laws.reference[runs[0]]) if runs and level.summaries else None,
        "frame": frame_of(part, series),
    }


def frame_of(part: Part, series: list[Series]) -> dict[str, list[float | int | None]]:
    """The reach of KL and gold over all that a slider can show, which axes are then fixed to.

    kl and gold: of means over seeds; each_kl and each_gold: of single seeds.
    """
    found: dict[str, list[float | int | None]] = {}
    for kind, paths in (("", [each.mean_paths for each in series]), ("each_", [each.paths for each in series])):
        kl = np.concatenate([path[..., 0].ravel() for path in paths])
        scores = [path[..., 2].ravel() for path, each in zip(paths, series, strict=True) if each.method != "gpo"]
        gold = np.concatenate([*(path[..., 1].ravel() for path in paths), *scores, part.best["gold"], [0.0]])
        found |= {f"{kind}kl": rounded_list([0.0, np.nanmax(kl, initial=0.0)])}
        found |= {f"{kind}gold": rounded_list([np.nanmin(gold), np.nanmax(gold)])}
    return found


def _family(series: Series, laws: GoldDistributions, responses: ResponseItems, level: Level) -> dict[str, Any]:
    """One family of policies: where its slider goes, and what is there."""
    seeds = list(range(min(len(series.seeds), level.seeds)))
    steps = evenly_spaced(len(series.steps), level.points if series.by == "beta" else max(level.points, 24))
    stops = list(range(len(series.stops))) if series.by == "beta" else steps
    scored = series.method != "gpo"
    low, high = series.band
    summaries = range(len(series.seeds) if level.summaries else 0)
    means = series.means.reindex(columns=list(COLUMNS)).iloc[stops]
    return {
        "name": series.name,
        "label": loss_label(series.name) if series.method == "gpo" else series.name,
        "method": series.method,
        "by": WORDS[series.by],
        "along": series.by != "beta",
        "what": NAMES[series.by] if not scored or series.by != "beta" else "τ, the penalty on KL",
        "stops": rounded_list(np.array(series.stops)[stops]),
        "seeds": [series.seeds[i] for i in seeds],
        "of": len(series.seeds),
        "steps": [series.steps[i] for i in steps],
        "means": {name: rounded_list(means[name]) for name in COLUMNS},
        "counts": series.means["seeds"].iloc[stops].astype(int).tolist(),
        "paths": [_path(path[steps], scored) for path in series.mean_paths],
        "band": [[rounded_list(ends[i][steps]) for ends in (low, high)] for i in range(len(low))],
        "each": [[_path(path[i][steps], scored) for i in seeds] for path in series.paths],
        "ends": [[rounded_list(_last(path[i])) for i in seeds] for path in series.paths]
        if series.by == "beta"
        else None,
        "laws": [distribution_json(laws.mean([runs[i] for i in summaries])) for runs in series.runs],
        "law": [
            [distribution_json(laws.policy.get(runs[i])) for i in seeds[: level.summaries]] for runs in series.runs
        ],
        "said": [
            [
                responses.of(runs[i], level.prompts, level.likely) if runs[i] in responses else None
                for i in seeds[: level.summaries]
            ]
            for runs in series.runs
        ],
    }


def _path(path: np.ndarray, scored: bool) -> list[list[float | int | None] | None] | None:
    """KL, gold, the proxy's score and the part of fluency along a path [T, 4], None for what is not known.

    None where there is no run.
    """
    if not np.isfinite(path[:, 0]).any():
        return None
    known = [True, True, scored and np.isfinite(path[:, 2]).any(), np.isfinite(path[:, 3]).any()]
    return [rounded_list(path[:, i]) if there else None for i, there in enumerate(known)]


def _last(path: np.ndarray) -> np.ndarray:
    """Where a path [T, 4] ends."""
    there = np.flatnonzero(np.isfinite(path[:, 0]))
    return path[there[-1]] if len(there) else np.full(path.shape[1], np.nan)
