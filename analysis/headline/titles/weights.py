"""What the median pair weighs in the gradient at the end of training, relative to z = 0, over losses."""

import pandas as pd

from analysis.headline.statement import Statement
from analysis.records.names import loss_label


def weights_seen(table: pd.DataFrame) -> Statement:
    """The statement, from what `gradient_weights` gives, at the smallest beta."""
    weak = float(table["beta"].min())
    median = table[(table["quantile"] == 0.5) & (table["beta"] == weak)].set_index("loss")["weight"]
    if median.empty:
        text = "What pairs weigh in the gradient"
        return Statement(topic="weights", text=text, title=text, sure=False)
    least, most = median.idxmin(), median.idxmax()
    text = f"At β {weak:g} the median pair weighs {median[least]:.2g} ({loss_label(str(least))})"
    text += (
        f" to {median[most]:.2g} ({loss_label(str(most))}) of what it does at z = 0"
        if least != most
        else " of what it does at z = 0"
    )
    numbers = {str(loss): float(weight) for loss, weight in median.items()}
    return Statement(topic="weights", text=text, title=text, sure=True, numbers=numbers)
