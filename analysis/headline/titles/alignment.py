"""How much of the spread of KL between losses goes when beta is replaced by beta kappa; see kappa_collapse."""

import pandas as pd

from analysis.headline.statement import Statement
from analysis.records.load import final_rows
from analysis.theory.kappa_collapse import kappa_collapse


def alignment(curves: pd.DataFrame) -> Statement:
    """The statement, from rows of training on pairs at one combination of further axes."""
    try:
        found = kappa_collapse(curves)
    except ValueError:
        last = final_rows(curves).dropna(subset="beta")
        least, most = (last.loc[last["beta"] == last["beta"].agg(which), "kl"].mean() for which in ("min", "max"))
        title = f"KL at the end goes from {least:.2g} to {most:.2g} nats as β grows"
        if len(last["beta"].unique()) < 2:
            title = f"KL at the end is {least:.2g} nats"
        return Statement(topic="alignment", text=title, title=title, sure=False)
    removed = found.kl.removed
    low, high = removed.interval()
    shown = (
        f"{100 * removed.value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"
        if removed.known
        else f"{100 * removed.value:.0f} %"
    )
    shown = shown.replace("-", "−")
    if low > 0:
        text = f"βκ instead of β removes {shown} of the spread of log KL between losses"
    elif removed.value > 0:
        text = f"It is not sure whether βκ instead of β brings the losses closer ({shown} of the spread of log KL)"
    else:
        text = f"βκ instead of β does not bring the losses closer ({shown} of the spread of log KL removed)"
    numbers = {"removed": removed.value, "low": low, "high": high, "p": found.kl.p, "assignments": found.assignments}
    return Statement(topic="alignment", text=text, title=text, sure=low > 0, numbers=numbers)
