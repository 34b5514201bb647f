"""Made-up records of the three sweeps after Tang et al. 2024 (arXiv:2405.08448): kinds of training, pairs, sizes.

They have the columns and axes of tang.toml, tang_data.toml and tang_size.toml in simulator/sweeps/shipped/, with fewer
strengths. Gold rises to its level half of the way to 4 nats, so that levels which differ by 1 are MEAN apart on
average.
"""

import math
from collections.abc import Callable

import pandas as pd

from tests.helpers.planted_records import rises_and_falls, runs

KINDS = {"offline": (0, None), "online": (8, "none"), "ordered": (8, "ordered"), "shuffled": (8, "shuffled")}
KAPPA = {"squared": 1.0, "logistic": 0.5, "hinge": 0.0, "sft": math.nan}
BETAS = (0.03, 0.3)
SETS = {"reference": ("reference", "False"), "one side": ("best_of_n", "True"), "both sides": ("best_of_n", "False")}
WIDTHS = (8, 16, 32, 64)
MEAN = 0.75  # of a level over the way to it and the same way after it


def alternating(kind: str, share: float) -> float:
    """Accuracy that goes up and down and has nothing to do with gold, and ends at 0.71 offline and at 0.51 online."""
    return 0.7 - 0.2 * (kind == "online") + 0.01 * (-1) ** round(11 * (1 - share))


def of_kinds(
    level: Callable[[str, str], float],
    *,
    loses: float = 0.0,
    accuracy: Callable[[str, float], float] = alternating,
    chosen: float = 0.0,
    points: int = 12,
) -> pd.DataFrame:
    """Four losses, each of which is trained in four ways.

    level: of gold, of a kind and a loss. loses: at the smallest beta, after the peak. accuracy: on held-out pairs, of a
    kind and the share of the way. chosen: log-ratio of chosen responses at the end.
    """
    cells = [
        {"method": "gpo", "loss": loss, "beta": beta, "kappa": kappa, "online_refresh": fresh, "online_replay": replay}
        for loss, kappa in KAPPA.items()
        for beta in ((math.nan,) if loss == "sft" else BETAS)
        for fresh, replay in KINDS.values()
    ]
    names = {made: kind for kind, made in KINDS.items()}

    def path(cell: dict, share: float) -> dict:
        kind = names[cell["online_refresh"], cell["online_replay"]]
        gold = rises_and_falls(level(kind, cell["loss"]), loses * (cell["beta"] == min(BETAS)), share)
        further = {"held_out_accuracy": accuracy(kind, share), "chosen_logratio": chosen * share}
        return {"kl": 4 * share, "gold": gold} | further

    return runs(cells, path, points=points).assign(pairs=1024, label_noise=0.0)


def of_sets(**level: float) -> pd.DataFrame:
    """Offline IPO on three kinds of pairs; gold of reference, one_side and both_sides."""
    cells = [
        {"method": "gpo", "loss": "squared", "beta": beta, "kappa": 1.0, "behaviour": made, "one_from_reference": one}
        for beta in BETAS
        for made, one in SETS.values()
    ]
    levels = {made: level[name.replace(" ", "_")] for name, made in SETS.items()}

    def path(cell: dict, share: float) -> dict:
        made = cell["behaviour"], cell["one_from_reference"]
        return {"kl": 4 * share, "gold": rises_and_falls(levels[made], 0.0, share)}

    return runs(cells, path).assign(pairs=1024, label_noise=0.0)


def of_sizes(gap: Callable[[float], float], offline: float = 1.0) -> pd.DataFrame:
    """Offline and online IPO at four widths of the policy; gap: of their gold, of log2 of the width over 8."""
    cells = [
        {"method": "gpo", "loss": "squared", "beta": beta, "kappa": 1.0, "policy_width": width, "online_refresh": fresh}
        for beta in BETAS
        for width in WIDTHS
        for fresh in (0, 8)
    ]

    def path(cell: dict, share: float) -> dict:
        more = gap(math.log2(cell["policy_width"] / 8)) if cell["online_refresh"] else 0.0
        return {"kl": 4 * share, "gold": rises_and_falls(offline + more, 0.0, share)}

    return runs(cells, path).assign(pairs=1024, label_noise=0.0)
