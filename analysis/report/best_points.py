"""The best of each loss, and where each method against proxies peaks: tables of texts, with intervals."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.figures.style import seeds_of
from analysis.headline.statement import brief, near, place_text
from analysis.records.load import final_rows, pairwise_rows
from analysis.records.names import axis_label, loss_label, value_text
from analysis.records.number_format import number
from analysis.records.parts import parts_of
from analysis.records.proxy_settings import at_extreme_values, label_of, varied_settings, with_labels
from analysis.statistics.peaks import best, curve_settings, peaks


@dataclass(frozen=True, kw_only=True)
class BestPoints:
    """What a table shows, and how it is read.

    table: texts, the first column names. words: sentences on its numbers. place: the values of further axes that it is
    at, where there are others. left_out: how many rows more there are.
    """

    title: str
    table: pd.DataFrame
    words: list[str]
    place: str = ""
    left_out: int = 0


def best_of_losses(curves: pd.DataFrame) -> BestPoints | None:
    """The best of each loss, where there is training on pairs; where further axes vary, at their first values."""
    pairs = pairwise_rows(curves)
    if final_rows(pairs).empty:
        return None
    places = parts_of(pairs)
    at, rows = places[0]
    found, along = best(rows), peaks(rows)
    weakest = along.loc[along.groupby("loss", sort=False)["beta"].transform("min").fillna(0) == along["beta"].fillna(0)]
    weakest = weakest.drop_duplicates("loss").set_index("loss").loc[found["loss"]]
    table = pd.DataFrame({"loss": [loss_label(str(loss)) for loss in found["loss"]]})
    some = bool(found["best_beta"].notna().any())
    if some:
        star = found["at_the_end"].map({True: "*", False: ""})
        table["best β"] = [f"{number(beta)}{sign}" for beta, sign in zip(found["best_beta"], star, strict=True)]
    table["peak gold"], table["at KL"] = errors(found, "peak_gold"), [near(kl) for kl in found["peak_kl"]]
    smallest = weakest["beta"].dropna().unique()
    if len(smallest) > 1:
        table["smallest β"] = [number(beta) for beta in weakest["beta"]]
    table["falls by"], table["to KL"] = errors(weakest, "fall"), [near(kl) for kl in weakest["end_kl"]]
    which = f" ({smallest[0]:g})" if len(smallest) == 1 else ""
    words = [units(found), "falls by: from its peak to the end" + f", at the smallest β{which}" * some + "."]
    if some and found["at_the_end"].any():
        words.append("*: the smallest or largest β here; the best may lie beyond.")
    place = place_text(at) if len(places) > 1 else ""
    return BestPoints(title="The best of each loss", table=table, words=words, place=place)


def peaks_against_proxies(curves: pd.DataFrame, most: int) -> BestPoints | None:
    """Where each method against proxies peaks, by the setting that varies most; others at their first values.

    most: rows, evenly spaced where there are more.
    """
    rows = with_labels(curves)
    if rows.empty:
        return None
    names = [name for name in varied_settings(rows) if name != "beta"]
    names = sorted(names, key=lambda name: -len(rows[name].dropna().unique()))
    rows, fixed = at_extreme_values(rows, names[1:], 0)
    found = peaks(rows)
    apart = [name for name in curve_settings(rows) if name not in ("method", "loss", "kappa", "beta") and name in found]
    keys = [name for name in apart if len(found[name].dropna().unique()) > 1][:1]
    keys += ["beta"] if len(found["beta"].dropna().unique()) > 1 else []
    found = found.sort_values(["method", *keys], kind="stable", ignore_index=True)
    every = len(found)
    found = found.iloc[[round(place) for place in np.linspace(0, every - 1, min(every, most))]]
    table = pd.DataFrame({"method": [label_of(curves, str(method)) for method in found["method"]]})
    for name in keys:
        column = "penalty" if name == "beta" else axis_label(name)
        table[column] = ["-" if pd.isna(value) else value_text(value) for value in found[name]]
    table["peak gold"], table["at KL"] = errors(found, "peak_gold"), [near(kl) for kl in found["peak_kl"]]
    table["falls by"], table["to KL"] = errors(found, "fall"), [near(kl) for kl in found["end_kl"]]
    words = [units(found), "falls by: from its peak to the last point."]
    words += [f"This is at{fixed.removeprefix(',')}."] if fixed else []
    return BestPoints(title="The peak of each method", table=table, words=words, left_out=every - len(found))


def errors(table: pd.DataFrame, name: str) -> list[str]:
    """Numbers with half of their intervals."""
    half = (table[f"{name}_high"] - table[f"{name}_low"]) / 2
    return [brief(*pair) for pair in zip(table[name], half, strict=True)]


def units(table: pd.DataFrame) -> str:
    """What the numbers of a table are."""
    gold = "Gold is in deviations under the reference (0), KL in nats;"
    if int(table["seeds"].max()) < 2:
        return f"{gold} one seed, so there are no errors, and peaks are too high."
    return f"{gold} ± is half of a 95 % interval over {seeds_of(table)}."
