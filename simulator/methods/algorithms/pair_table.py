"""What is recorded of single pairs at the end of training: how similar their responses are, and where these end.

Shapes: R runs, N pairs, n of them recorded, K responses of each.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from simulator.engine.recorder import Keep
from simulator.methods.algorithms.final_tables import spell
from simulator.pair_scores.many_pairs import PairScores
from simulator.preferences.filtering import fingerprint_of, scores_at_reference
from simulator.preferences.pairs import Preferences
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.worlds.protocol import World

Array = np.ndarray


def save_pairs(
    runs: Sequence[Run], world: World, pairs: Preferences, log_ratios: Tensor, alive: Array, keep: Keep
) -> None:
    """Keep `pairs.parquet` of the first `measure.pairs` pairs [R, N, …], where `measure.displacement` asks for it.

    log_ratios: of the first pairs at the end of training, [R, n, K]; alive [R]: which runs did not diverge.
    """
    settings = runs[0].settings
    if not settings.measure.displacement:
        return
    count = min(settings.measure.pairs, log_ratios.shape[1])
    shown = pairs.first(count)
    gold = world.gold_of(shown.prompt, shown.responses[..., [0, -1], :])
    known: dict[bytes, pd.DataFrame] = {}  # runs of one seed share their pairs
    tables = []
    for number in np.flatnonzero(alive).tolist():
        own = shown.run(number)
        key = fingerprint_of(own)
        if key not in known:
            known[key] = pair_rows(own, world, gold[number], scores_at_reference(own, world), settings)
        ends = log_ratios[number, :count].double().cpu().numpy()
        table = known[key].assign(chosen_logratio=ends[:, 0], rejected_logratio=ends[:, -1])
        table.insert(0, "run_id", pd.Series(runs[number].run_id, index=table.index, dtype="str"))
        tables.append(table)
    keep("pairs", pd.concat(tables, ignore_index=True) if tables else pd.DataFrame())


def pair_rows(pairs: Preferences, world: World, gold: Tensor, scores: PairScores, settings: Settings) -> pd.DataFrame:
    """What of the rows of `pairs.parquet` does not depend on training, for the pairs of one run and their gold [n, 2].

    Of more than two responses to a prompt, the first and the last are chosen and rejected.
    """
    prompts, responses = world.prompts[pairs.prompt].tolist(), pairs.responses.tolist()
    gap = (gold[:, 0] - gold[:, -1]).cpu().numpy()
    return pd.DataFrame(
        {
            "pair": np.arange(len(prompts)),
            "prompt": [spell(tokens, settings) for tokens in prompts],
            "chosen": [spell(said[0], settings) for said in responses],
            "rejected": [spell(said[-1], settings) for said in responses],
            "gold_gap": gap,
            **{name: held.cpu().numpy() for name, held in vars(scores).items()},
        }
    )
