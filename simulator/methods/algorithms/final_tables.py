"""What is recorded of trained policies at the end of training, beside their curves: tables for people to look at.

Shapes: R runs, n prompts, K responses to each, N pairs, B bins of gold.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.engine.recorder import Keep
from simulator.languages import spelling
from simulator.measurement.policy_summary import EDGES, PolicySummary
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World

Array = np.ndarray


def save_summary(
    runs: Sequence[Run], world: World, parameters: Tensor, diverged_at: Tensor, scorer: Scorer | None, keep: Keep
) -> None:
    """Keep what policies with `parameters` [R, D] say; diverged_at [R] is -1 where they are sound."""
    portrait, alive = world.summarize(parameters, scorer), finite(parameters, diverged_at)
    keep("responses", response_rows(runs, portrait, alive))
    keep("gold_law", law_rows(runs, portrait, alive))


def spell(tokens: Sequence[int], settings: Settings) -> str:
    """Tokens as people read them: a text's bytes, letters where they suffice, or else numbers."""
    world = settings.world
    return spelling.spell(tokens, vocabulary=world.vocabulary, is_text=bool(world.language.text))


def marked(breaks: Sequence[bool]) -> str:
    """A sign for each token: x where it breaks the grammar; nothing for a response that does not."""
    return "".join(".x"[broken] for broken in breaks) if any(breaks) else ""


def response_rows(runs: Sequence[Run], portrait: PolicySummary, alive: Array) -> pd.DataFrame:
    """The rows of `responses.parquet` of the runs that are alive [R], likeliest first, each response once."""
    settings = runs[0].settings
    prompts = [spell(tokens, settings) for tokens in portrait.prompts.tolist()]
    rows = []
    for number in np.flatnonzero(alive).tolist():
        for place, prompt in enumerate(prompts):
            columns = (portrait.log_probs, portrait.reference, portrait.gold, portrait.fluency, portrait.proxy)
            values = torch.stack([column[number, place] for column in columns], dim=1).cpu().numpy()
            texts = [spell(tokens, settings) for tokens in portrait.responses[number, place].tolist()]
            marks = [marked(breaks) for breaks in portrait.breaks[number, place].tolist()]
            found = {text: (*row, mark) for text, row, mark in zip(texts, values.tolist(), marks, strict=True)}
            for text, row in sorted(found.items(), key=lambda item: -item[1][0]):
                log_prob, reference, gold, fluency, proxy, mark = row
                likely = np.exp(log_prob), np.exp(reference)
                rows.append((runs[number].run_id, prompt, text, *likely, gold, proxy, fluency, mark))
    names = ["run_id", "prompt", "response", "probability", "reference", "gold", "proxy", "fluency", "breaks"]
    return pd.DataFrame(rows, columns=names)


def law_rows(runs: Sequence[Run], portrait: PolicySummary, alive: Array) -> pd.DataFrame:
    """The rows of `gold_law.parquet` of the runs that are alive [R]: bins that the policy or the reference visits."""
    if not alive.any():
        return pd.DataFrame()
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    law, reference = portrait.law.cpu().numpy()[alive], portrait.reference_law.cpu().numpy()
    names = np.array([run.run_id for run, sound in zip(runs, alive, strict=True) if sound], dtype=object)
    row, seen = np.nonzero((law > 1e-6) | (reference > 1e-6))
    columns = {"gold": middle[seen], "probability": law[row, seen], "reference": reference[seen]}
    return pd.DataFrame({"run_id": pd.Series(names[row], dtype="str"), **columns})


def margin_rows(runs: Sequence[Run], margins: Tensor, gaps: Tensor, alive: Array, *, bins: int = 12) -> pd.DataFrame:
    """The rows of `margins.parquet`: what margin policies give to the response with more gold, by the gap of gold.

    margins [R, N]: rho of each pair, toward its first response; gaps [R, N]: gold of the first less gold of the second.
    Pairs are taken in the order of gold, so that wrong labels count as what they are, and in bins of equally many.
    """
    gap, margin = (values.double().cpu().numpy()[alive] for values in (gaps, margins))
    margin, gap = margin * np.where(gap < 0, -1.0, 1.0), np.abs(gap)
    order = np.argsort(gap, axis=1, kind="stable")
    gap, margin = (np.take_along_axis(values, order, axis=1) for values in (gap, margin))
    each = np.array_split(np.arange(gap.shape[1]), min(bins, gap.shape[1]))
    parts = [slice(part[0], part[-1] + 1) for part in each]  # rows lie one after another, and sums round as over one
    names = [run.run_id for run, sound in zip(runs, alive, strict=True) if sound]
    columns = {
        "gap": [gap[:, part].mean(axis=1) for part in parts],
        "margin": [margin[:, part].mean(axis=1) for part in parts],
        "margin_deviation": [margin[:, part].std(axis=1) for part in parts],
        "pairs": [np.full(len(gap), len(part)) for part in each],
    }
    table = {name: np.stack(values, axis=1).ravel() for name, values in columns.items()}
    return pd.DataFrame({"run_id": pd.Series(np.repeat(names, len(parts)), dtype="str"), **table})


def finite(parameters: Tensor, diverged_at: Tensor) -> Array:
    """Which runs did not diverge, [R]."""
    return (torch.isfinite(parameters).all(dim=1) & (diverged_at < 0)).cpu().numpy()
