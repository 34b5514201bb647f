"""The scaling laws of a whole sweep: one for each path, and how their coefficients change with the size of proxies.

The laws themselves are in analysis/statistics/laws.py.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analysis.records.about import cards, settings_of
from analysis.records.checks import checked
from analysis.records.load import trained_rows
from analysis.records.proxy_settings import determined
from analysis.statistics.intervals import over_seeds
from analysis.statistics.laws import ScalingLaw, fit_scaling_law


def column_of(field: str) -> str:
    """The column of a field of ScalingLaw in a table."""
    return f"law_{field}" if field.split("_")[0] in ("alpha", "beta") else field


def form_of(curves: pd.DataFrame) -> str:
    """The form that the curves of one method are fitted by."""
    card = cards(curves).get(str(curves["method"].iloc[0]))
    return card.law if card else "rl"


def fit_laws(curves: pd.DataFrame, *, kl_below: float | None = None, by_seed: bool = False) -> pd.DataFrame:
    """The law of every path of a sweep, along its training, n or tau: one row for each combination of settings.

    Columns: the settings that vary, proxy_parameters where there are proxies, and the fields of ScalingLaw, of which
    alpha and beta and their intervals are law_alpha, law_beta and so on, since beta is a setting, too. by_seed: a row
    for each seed, without intervals. A path whose points do not tell two coefficients apart is left out.
    """
    rows = trained_rows(checked(curves))
    by = [name for name in settings_of(rows) if name not in ("seed", "kappa")]
    by += [name for name in ("proxy_parameters",) if name in rows]
    by = [name for name in by if name in ("method", "proxy_parameters") or len(rows[name].unique()) > 1]
    fitted = []
    for setting, table in rows.groupby([*by, *(["seed"] if by_seed else [])], dropna=False, sort=False):
        moved = table[table["kl"] > 0]
        d, form = np.sqrt(moved["kl"]), form_of(table)
        noise = moved["gold_se"].to_numpy(float) if "gold_se" in moved else None
        together = {} if by_seed else {"seeds": moved["seed"].to_numpy(), "shared": noise}
        try:
            law = fit_scaling_law(d, moved["gold"], form, kl_below=kl_below, **together)
        except ValueError:
            continue
        names = [*by, *(["seed"] if by_seed else [])]
        columns = {name: value for name, value in vars(law).items() if name != "seeds" or not by_seed}
        fitted.append(
            dict(zip(names, setting, strict=True)) | {column_of(name): value for name, value in columns.items()}
        )
    return pd.DataFrame(fitted)


def trends(curves: pd.DataFrame, against: str, names: Sequence[str] = ("law_alpha", "law_beta")) -> pd.DataFrame:
    """How coefficients change for each factor of ten in the column `against`, such as proxy_parameters or pairs.

    For each method, and each combination of the other settings: the slope of a least-squares line through the
    coefficients of one seed, as a mean over seeds with its interval; what seeds share of the noise of a measurement is
    added as in `fit_scaling_law`. Columns: the settings, coefficient, slope, slope_low, slope_high, seeds.
    """
    curves = checked(curves)
    if against not in curves:
        known = [name for name in ("proxy_parameters", *settings_of(curves)) if name in curves]
        raise ValueError(f"against = {against!r}: must be a column of the curves with numbers: {', '.join(known)}")
    slopes = slopes_by_seed(curves, against, names)
    if slopes.empty:
        return pd.DataFrame(columns=["method", "coefficient", "slope", "slope_low", "slope_high", "seeds"])
    if "gold_se" in curves and (curves["gold_se"] > 0).any():
        moved = slopes_by_seed(curves.assign(gold=curves["gold"] + curves["gold_se"].fillna(0.0)), against, names)
        slopes["slope_se"] = (moved["slope"] - slopes["slope"]).abs()
    by = [name for name in slopes if name not in ("seed", "slope", "slope_se")]
    return over_seeds(slopes, by, ["slope"]).drop(columns="slope_se")


def slopes_by_seed(curves: pd.DataFrame, against: str, names: Sequence[str]) -> pd.DataFrame:
    """The slope of each coefficient of each seed over log10 of the column `against`."""
    laws = fit_laws(curves, by_seed=True)
    if laws.empty:
        return laws
    laws = laws if against in laws else laws.assign(**{against: curves[against].iloc[0]})
    fields = {*map(column_of, ScalingLaw.__dataclass_fields__), "seed", against}
    by = [name for name in laws if name not in fields]
    by = [name for name in by if name == "method" or not determined(laws, name, against)]
    rows = []
    for setting, table in laws.groupby([*by, "seed"], dropna=False, sort=False):
        x = np.log10(table[against].to_numpy(float))
        if len(np.unique(x)) < 2:
            continue
        for name in names:
            slope = float(np.polyfit(x, table[name].to_numpy(float), 1)[0])
            rows.append(dict(zip([*by, "seed"], setting, strict=True)) | {"coefficient": name, "slope": slope})
    return pd.DataFrame(rows)
