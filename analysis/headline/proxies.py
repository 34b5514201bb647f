"""What comes of optimizing against proxies: how far gold rises and falls, and whether RL and best-of-n differ.

Of best-of-n, or else of the first method that the sweep has: its path against the first and the last value of the
setting that proxies vary most in (their size, or the data that they learned from), with the other settings at their
first value. Peaks and falls are those of analysis/statistics/peaks.py. RL, at its smallest penalty, is compared with
best-of-n at equal KL, draw by draw, averaged over all other settings.
"""

import math
from typing import Any

import pandas as pd

from analysis.headline.statement import Statement, brief, near, would_tell
from analysis.records.about import settings_of
from analysis.records.load import further_axes
from analysis.records.names import axis_label, value_text
from analysis.records.proxy_settings import ONE_PROXY, at_extreme_values, label_of, varied_settings, with_labels
from analysis.statistics.comparison import SIMILAR, compare
from analysis.statistics.intervals import Estimate
from analysis.statistics.peaks import peaks
from analysis.statistics.power import seeds_to_differ

ORDER = ("best_of_n", "rl", "gibbs")
SIZES = ("proxy_parameters", "pairs")


def against_proxies(curves: pd.DataFrame) -> list[Statement]:
    """The statements on methods against proxies; none where there are none."""
    rows = with_labels(curves)
    if rows.empty:
        return []
    found = [rise_against(rows, curves), methods_apart(rows)]
    return [statement for statement in found if statement is not None]


def rise_against(rows: pd.DataFrame, curves: pd.DataFrame) -> Statement:
    """How gold rises and falls along one method, against the first and the last proxy."""
    there = list(rows["method"].unique())
    method = next((name for name in ORDER if name in there), there[0])
    path = rows[rows["method"] == method]
    names = [name for name in varied_settings(path) if path[name].notna().any()]
    sized = [name for name in names if name in SIZES]
    key = max(sized or names, key=lambda name: path[name].nunique(), default=None)
    path, fixed = at_extreme_values(path, [name for name in names if name != key], 0)
    parts, titles, numbers, sure, needed = [], [], dict[str, Any](method=method), True, list[int | None]()
    ends = ends_of(path, key)
    short = {which: f"({at.removeprefix('against ').split(' (')[0]})" * (len(ends) > 1) for which, at, _ in ends}
    for which, at, part in ends:
        row = peaks(part).iloc[0]
        halves = {name: float(row[f"{name}_high"] - row[f"{name}_low"]) / 2 for name in ("peak_gold", "fall")}
        peak, fall = (brief(float(row[name]), half) for name, half in halves.items())
        numbers |= {
            f"{which} {name}": float(row[name]) for name in ("peak_gold", "peak_kl", "fall", "fall_low", "fall_high")
        }
        if not row["peak_gold_low"] > 0:
            sure = False
            fell = f", and it surely falls by {fall} from there" if row["fall_low"] > 0 else ""
            parts.append(f"{at}, it is not sure whether gold rises (its peak is {peak}){fell}")
            titles.append(f"peaks at {peak}, which is not sure {short[which]}")
        elif row["fall_low"] > 0:
            parts.append(f"{at}, gold rises to {peak} near {near(row['peak_kl'])} nats and then falls by {fall}")
            titles.append(f"rises to {peak} and falls by {fall} {short[which]}")
        elif row["fall_high"] < SIMILAR:
            parts.append(f"{at}, gold rises to {peak} and does not fall by {SIMILAR:g}")
            titles.append(f"rises to {peak} and stays {short[which]}")
        else:
            sure = False
            seeds = int(row["seeds"])
            error = Estimate(value=row["fall"], error=row["fall_se"], degrees_of_freedom=seeds - 1)
            needed.append(seeds_to_differ(error) if seeds > 1 else None)
            parts.append(f"{at}, gold rises to {peak}; a fall is not sure ({fall}; {would_tell(needed[-1], seeds)})")
            titles.append(f"rises to {peak}, a fall is not sure {short[which]}")
    text = f"By {label_of(curves, method)}{fixed}, {'; '.join(parts)}"
    title = f"{label_of(curves, method)}: gold {'; '.join(map(str.strip, titles))}"
    seeds_needed = None if None in needed or not needed else max(count for count in needed if count is not None)
    return Statement(topic="proxies", text=text, title=title, sure=sure, numbers=numbers, seeds=seeds_needed)


def ends_of(path: pd.DataFrame, key: str | None) -> list[tuple[str, str, pd.DataFrame]]:
    """The rows at the first and the last value of a setting, with what they are called."""
    if key is None:
        return [("path", "against its proxy", path)]
    values = sorted(path[key].dropna().unique(), key=lambda value: (value != ONE_PROXY, isinstance(value, str), value))
    found = []
    for which, value, word in (("first", values[0], "smallest"), ("last", values[-1], "largest")):
        if key == "proxy_parameters":
            at = f"against the {word} proxy ({value_text(value)} parameters)"
        elif key == "pairs":
            at = f"against a proxy that saw {value_text(value)} comparisons"
        elif key == "ensemble":
            at = f"against {value_text(value)}"
        else:
            at = f"at {axis_label(key)} {value_text(value)}"
        found.append((which, at, path[path[key] == value]))
    return found


def methods_apart(rows: pd.DataFrame) -> Statement | None:
    """RL against best-of-n at equal KL; None where a sweep lacks one, or they have no seed in common."""
    rows = rows[rows["method"].isin(["rl", "best_of_n"])]
    if rows["method"].nunique() < 2:
        return None
    pool = [name for name in further_axes(rows) if name in settings_of(rows)]
    try:
        found = compare(rows, "rl", "best_of_n", by="method", pool=pool)
    except ValueError:
        return None
    half = (found.high - found.low) / 2
    if not math.isfinite(half):
        return None
    reach = f"mean to {near(found.reach)} nats"
    numbers = {name: float(getattr(found, name)) for name in ("difference", "low", "high", "reach")}
    sure, needed = True, None
    if found.low > 0 or found.high < 0:
        word = "more" if found.difference > 0 else "less"
        text = f"At equal KL, RL has {brief(abs(found.difference), half)} {word} gold than best-of-n ({reach})"
        title = f"RL: {brief(abs(found.difference), half)} {word} gold than best-of-n at equal KL"
    elif found.smallest_margin < found.margin:
        mean = "" if found.equivalent else " on average"
        text = f"At equal KL, RL and best-of-n lie within {SIMILAR:g} of each other{mean} ({reach})"
        title = f"RL and best-of-n: within {SIMILAR:g} of each other{mean}, at equal KL"
    else:
        sure, needed = False, seeds_to_differ(found.estimate)
        signed = brief(found.difference, half)
        tell = would_tell(needed, found.seeds)
        text = f"Whether RL or best-of-n has more gold at equal KL is not sure ({signed}; {tell})"
        title = f"RL less best-of-n at equal KL: {signed}, not sure"
    return Statement(topic="rl_and_best_of_n", text=text, title=title, sure=sure, numbers=numbers, seeds=needed)
