"""How well the law of overoptimization fits, and how its coefficients change with the size of proxies or their data."""

import pandas as pd

from analysis.headline.statement import Statement, brief
from analysis.records.proxy_settings import label_of, with_labels
from analysis.statistics.law_fits import fit_laws, trends

COEFFICIENTS = {"law_alpha": "α", "law_beta": "β"}


def law_fit(curves: pd.DataFrame) -> Statement:
    """How far gold lies from the law of its method, and whether the other form fits better; unsure without a law."""
    laws = fit_laws(with_labels(curves))
    if laws.empty:
        return Statement(topic="law_fit", text="No law could be fitted", title="No law could be fitted", sure=False)
    parts, numbers = [], {}
    for method, rows in laws.groupby("method", sort=False):
        own, other = float(rows["rmse"].mean()), float(rows["rival_rmse"].mean())
        numbers[f"{method} rmse"], numbers[f"{method} other form"] = own, other
        better = f", the other form by {other:.2f}" if other < 0.9 * own else ""
        parts.append(f"{label_of(curves, str(method))} by {own:.2f}{better}")
    text = f"The laws miss gold: {'; '.join(parts)} (rms, sd)"
    return Statement(topic="law_fit", text=text, title=text, sure=True, numbers=numbers)


def coefficient_trend(curves: pd.DataFrame, along: str) -> Statement:
    """How the coefficients of best-of-n, or of the first method, change for each factor of ten."""
    rows = with_labels(curves)
    rows = rows[rows["method"].isin(["best_of_n", "rl"])]
    words = "parameters" if along == "proxy_parameters" else "comparisons"
    try:
        table = trends(rows, along)
    except ValueError:
        table = pd.DataFrame()
    if table.empty:
        text = f"The law's coefficients by the {words} of the proxy"
        return Statement(topic="coefficients", text=text, title=text, sure=False)
    parts, sure, numbers = [], False, {}
    for (method, name), part in table.groupby(["method", "coefficient"], sort=False):
        row = part.iloc[0]
        half, surely = (row["slope_high"] - row["slope_low"]) / 2, row["slope_low"] > 0 or row["slope_high"] < 0
        numbers[f"{method} {name}"] = float(row["slope"])
        if surely:
            sure = True
            parts.append(
                f"{COEFFICIENTS[str(name)]} of {label_of(curves, str(method))} changes by {brief(row['slope'], half)}"
            )
    text = (
        f"Per tenfold {words}, {', '.join(parts)}"
        if parts
        else f"No coefficient surely changes with the {words} of the proxy"
    )
    return Statement(topic="coefficients", text=text, title=text, sure=sure, numbers=numbers)
