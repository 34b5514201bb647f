"""How far trained margins are from what minimizes their loss for infinitely many pairs (the population link).

The root mean square of z less the link, over gaps of gold and losses, at the largest and at the smallest beta.
"""

import numpy as np
import pandas as pd

from analysis.headline.statement import Statement


def margins_and_link(table: pd.DataFrame) -> Statement:
    """The statement, from what `margins_by_gap` gives."""
    away = ((table["z"] - table["link"]) ** 2).groupby(table["beta"]).mean()
    rms = pd.Series(np.sqrt(away.to_numpy(float)), index=away.index).sort_index()
    weak, strong = float(rms.index[0]), float(rms.index[-1])
    if weak == strong:
        text = f"Margins lie {rms.iloc[0]:.2g} from the population link at β {weak:g} (root mean square)"
    else:
        near, far = (strong, weak) if rms[strong] <= rms[weak] else (weak, strong)
        best, worst = f"β {near:g} (rms {rms[near]:.2g})", f"{far:g} ({rms[far]:.2g})"
        text = f"Margins follow the population link best at {best}, least at {worst}"
    numbers = {f"rms at beta {beta:g}": float(value) for beta, value in rms.items()}
    return Statement(topic="links", text=text, title=text, sure=True, numbers=numbers)
