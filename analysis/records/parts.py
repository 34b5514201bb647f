"""The curves of a sweep at each combination of its further axes."""

import pandas as pd

from analysis.records.about import settings_of
from analysis.records.load import final_rows, further_axes


def parts_of(curves: pd.DataFrame) -> list[tuple[dict[str, object], pd.DataFrame]]:
    """The curves at each combination of the further axes, with the oracle of its world; no part without an end."""
    axes = further_axes(curves)
    is_oracle = curves["method"] == "oracle"
    runs = curves[~is_oracle]
    if not axes:
        worlds = [name for name in settings_of(curves) if name not in ("method", "loss", "beta", "kappa", "seed")]
        elsewhere = pd.Series(False, index=curves.index)  # the oracle is there for worlds that have no run yet
        for name in worlds:
            elsewhere |= is_oracle & curves[name].notna() & ~curves[name].isin(runs[name])
        return [({}, curves[~elsewhere] if elsewhere.any() else curves)]
    parts = []
    for values in runs[axes].drop_duplicates().itertuples(index=False, name=None):
        at = dict(zip(axes, values, strict=True))
        here = pd.Series(True, index=curves.index)
        for name, value in at.items():
            same = curves[name].isna() if pd.isna(value) else (curves[name] == value).fillna(False).astype(bool)
            here &= same | (is_oracle & curves[name].isna())
        if not final_rows(curves[here]).empty:
            parts.append(({name: value for name, value in at.items() if not pd.isna(value)}, curves[here]))
    return parts
