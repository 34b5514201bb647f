"""The order of Huang et al. 2024 (arXiv:2407.13399): twelve win rates of χPO and DPO, as others quote its Table 1.

One implementer of χPO reported that they could not get the paper's numbers (huggingface/trl, issue 3573, as quoted).
"""

from collections.abc import Callable

import pandas as pd

from analysis.published.claim import Claim, Records
from analysis.published.ordering import Ordering, order_claim

EPOCHS = (1, 2, 4)
PUBLISHED = {  # win rates in per cent after EPOCHS
    ("chi_po", 0.05): (56.5, 56.1, 48.0),
    ("chi_po", 0.005): (50.6, 52.8, 51.6),
    ("logistic", 0.05): (55.8, 50.3, 38.0),
    ("logistic", 0.005): (14.7, 3.4, 0.5),
}
NAMES = {"chi_po": "χPO", "logistic": "DPO"}


def label(loss: str, beta: float, epochs: int) -> str:
    """The name of a cell of the table."""
    return f"{NAMES[loss]} {beta:g}, {epochs} epoch{'s' * (epochs > 1)}"


def cells_order(after: Callable[[Records, str, float, int], pd.Series]) -> Claim:
    """The claim that the twelve cells are ordered as published.

    after(records, loss, beta, epochs): the win rate here after so many passes over the pairs, by seed.
    """
    cells = {
        (loss, beta, epochs): rate
        for (loss, beta), rates in PUBLISHED.items()
        for epochs, rate in zip(EPOCHS, rates, strict=True)
    }
    return order_claim(
        name="cells",
        what="the twelve win rates of χPO and DPO after 1, 2 and 4 epochs at two betas are",
        source="Huang et al., Table 1, as others quote it",
        ordering=Ordering(
            published={label(*cell): rate for cell, rate in cells.items()},
            ranks=False,
            mapping="Win rates of a judge are here the win rate against the reference by gold, after 1, 2 and 4 "
            "passes over the pairs, at the same betas.",
            why="Betas of a model with long responses are not those of four tokens: the same beta can be weak there "
            "and strong here, and then the two losses hardly differ.",
        ),
        ours=lambda records: pd.DataFrame({label(*cell): after(records, *cell) for cell in cells}),
    )
