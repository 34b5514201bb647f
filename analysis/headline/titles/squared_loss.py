"""How much KL there is for each unit of the mu-weighted squared loss, at the end of training at the weakest beta.

While a policy is close to the reference and pairs come from it, KL is half of E_mu rho^2 / 1, that is, equal to the
mu-weighted squared loss 1/2 E_mu rho^2 divided by 2 (arXiv:2402.05749, Sec. 5). The ratio of KL to that half is 1 then.
"""

import pandas as pd

from analysis.headline.rise_and_fall import shown_loss, weakest
from analysis.headline.statement import Number, Statement
from analysis.records.load import final_rows
from analysis.records.names import loss_label
from analysis.statistics.intervals import mean_of


def squared_loss(curves: pd.DataFrame) -> Statement:
    """The statement on the loss of the headline."""
    loss = shown_loss(curves)
    last = final_rows(weakest(curves))
    last = last[(last["loss"] == loss) & (last["mu_squared"] > 0)]
    ratio = mean_of(last["kl"] / (last["mu_squared"] / 2))
    low, high = ratio.interval()
    where = f"({loss_label(loss)}, smallest β)"
    share = (
        f"{ratio.value:.1f} times"
        if ratio.value >= 1.995
        else f"{100 * ratio.value:.{1 if ratio.value < 0.1 else 0}f} % of"
    )
    if low > 1:
        text = f"KL outgrows half the squared loss: at the end it is {share} it {where}"
    elif high < 1:
        text = f"KL stays behind half the squared loss: at the end it is {share} it {where}"
    else:
        text = f"At the end KL is {share} half the squared loss {where}"
    numbers: dict[str, Number] = {"loss": loss, "ratio": ratio.value, "low": low, "high": high}
    return Statement(topic="squared_loss", text=text, title=text, sure=low > 1 or high < 1, numbers=numbers)
