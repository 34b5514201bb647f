"""One data set under one class of policies, whole: values, scores, groups, what dropping brings, as rows of tables.

Shapes: N pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from simulator.instruments.influence.retraining import Site
from simulator.instruments.influence.scores import SCORES
from simulator.instruments.influence.seen import Seen, look
from simulator.instruments.influence.values import Values, dropped, groups, lowest, singles, values_without

Array = np.ndarray

TRUTH = "truth"


@dataclass(frozen=True, kw_only=True)
class Tables:
    """A row a pair, a row a group, a row a score and fresh training seed, and a row a score."""

    pairs: pd.DataFrame
    groups: pd.DataFrame
    dropped: pd.DataFrame
    judged: pd.DataFrame


def spearman(one: Array, other: Array) -> float:
    """The rank correlation of values [N] with others, equal ones sharing their mean rank; NaN where all are equal."""
    ranks = [rankdata(each) for each in (one, other)]
    if any(np.ptp(each) == 0 for each in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def ceiling_of(agreement: float) -> float:
    """How much a score can correlate with the mean of two values that correlate so with each other.

    It does so if it is what both have in common. The mean then has the reliability 2r/(1+r) (Spearman 1910; Brown
    1910), and the correlation with it is at most the square root of that (Spearman 1904). Ranks follow this nearly.
    """
    return float(np.sqrt(2 * max(agreement, 0.0) / (1 + max(agreement, 0.0))))


def judge_site(site: Site, fresh: int) -> Tables:
    """All tables of one site; `fresh`: training seeds that judge what dropping brings."""
    seen, values = look(site), values_without(site, singles(site))
    truth = values.gold.mean(axis=0)
    scores = {score.name: score.values(seen).cpu().numpy() for score in SCORES}
    where = {"data_set": site.run.seed, "policy": site.run.settings.policy.kind}
    sets = groups(site).numpy()
    of_groups = group_rows(sets, values_without(site, groups(site)).gold.mean(axis=0), {TRUTH: truth} | scores)
    judges = {TRUTH: truth} | scores
    worst = {name: lowest(score) for name, score in judges.items()}
    drops = drop_rows(site, worst, fresh)
    return Tables(
        pairs=pair_rows(seen, values, scores).assign(**where),
        groups=of_groups.assign(**where),
        dropped=drops.assign(**where),
        judged=score_rows(values, judges, of_groups, drops, against_gold(seen)).assign(**where),
    )


def against_gold(seen: Seen) -> Array:
    """Which labels choose the response of less gold, bool [N]."""
    return (seen.gold_gap < 0).cpu().numpy()


def pair_rows(seen: Seen, values: Values, scores: Mapping[str, Array]) -> pd.DataFrame:
    """A row a pair: what it is, its values, its scores."""
    pairs = seen.site.pairs
    said = [[" ".join(map(str, tokens)) for tokens in pairs.responses[:, side].tolist()] for side in (0, 1)]
    return pd.DataFrame(
        {
            "pair": np.arange(seen.site.count),
            "prompt": pairs.prompt.numpy(),
            "chosen": said[0],
            "rejected": said[1],
            "against_gold": against_gold(seen),
            "value": values.gold.mean(axis=0),
            "value_0": values.gold[0],
            "value_1": values.gold[1],
            "regret_added": values.regret.mean(axis=0),
            "kl_added": values.kl.mean(axis=0),
            **scores,
        }
    )


def group_rows(sets: Array, value: Array, scores: Mapping[str, Array]) -> pd.DataFrame:
    """A row a group: its own value, and the sums of values and scores of its pairs."""
    sums = {f"sum_{name}": sets.astype(float) @ score for name, score in scores.items()}
    return pd.DataFrame({"group": np.arange(len(sets)), "size": sets.sum(axis=1), "value": value, **sums})


def drop_rows(site: Site, worst: Mapping[str, Any], fresh: int) -> pd.DataFrame:
    """A row a score and fresh training seed: what dropping its worst pairs adds to gold, regret and KL."""
    import torch

    found = dropped(site, torch.stack(list(worst.values())), fresh)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "score": name,
                    "fresh": range(fresh),
                    "gold_gained": each.gold,
                    "regret_added": each.regret,
                    "kl_added": each.kl,
                }
            )
            for name, each in zip(worst, found, strict=True)
        ],
        ignore_index=True,
    )


def score_rows(
    values: Values, scores: Mapping[str, Array], of_groups: pd.DataFrame, drops: pd.DataFrame, wrong: Array
) -> pd.DataFrame:
    """A row a score: rank correlations, what dropping brings, and the share of dropped labels that are against gold."""
    truth, agreement = values.gold.mean(axis=0), spearman(*values.gold)
    gained = drops.groupby("score")[["gold_gained", "regret_added", "kl_added"]].mean()
    needs = {TRUTH: True} | {score.name: score.needs_gold for score in SCORES}
    rows = []
    for name, score in scores.items():
        rows.append(
            {
                "score": name,
                "needs_gold": needs[name],
                "correlation": agreement if name == TRUTH else spearman(score, truth),
                "regret_correlation": spearman(score, -values.regret.mean(axis=0)),
                "group_correlation": spearman(of_groups[f"sum_{name}"].to_numpy(), of_groups["value"].to_numpy()),
                **{column: float(gained.loc[name, column]) for column in gained},
                "dropped_against_gold": float(wrong[lowest(score).numpy()].mean()),
                "against_gold": float(wrong.mean()),
                "agreement": agreement,
                "ceiling": ceiling_of(agreement),
            }
        )
    return pd.DataFrame(rows)
