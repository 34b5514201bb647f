"""What is recorded of trained policies at the end of training, beside their curves: tables for people to look at.

Shapes: R runs, n prompts, K responses to each, N pairs, B bins of gold.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.engine.recorder import Keep
from simulator.measurement.policy_summary import EDGES, PolicySummary
from simulator.settings.run import Run
from simulator.settings.tables import Settings
from simulator.worlds.listing import Scorer
from simulator.worlds.protocol import World

LETTERS = "abcdefghijklmnopqrstuvwxyz"

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
    tokens = [token for token in tokens if token >= 0]
    if settings.world.language.text:
        return bytes(tokens).decode("utf-8", "backslashreplace")
    if settings.world.vocabulary <= len(LETTERS):
        return "".join(LETTERS[token] for token in tokens)
    return " ".join(map(str, tokens))


def response_rows(runs: Sequence[Run], portrait: PolicySummary, alive: Array) -> pd.DataFrame:
    """The rows of `responses.parquet` of the runs that are alive [R], likeliest first, each response once."""
    settings = runs[0].settings
    prompts = [spell(tokens, settings) for tokens in portrait.prompts.tolist()]
    rows = []
    for number in np.flatnonzero(alive).tolist():
        for place, prompt in enumerate(prompts):
            columns = (portrait.log_probs, portrait.reference, portrait.gold, portrait.proxy)
            values = torch.stack([column[number, place] for column in columns], dim=1).cpu().numpy()
            texts = [spell(tokens, settings) for tokens in portrait.responses[number, place].tolist()]
            found = dict(zip(texts, values, strict=True))
            for text, (log_prob, reference, gold, proxy) in sorted(found.items(), key=lambda item: -item[1][0]):
                rows.append((runs[number].run_id, prompt, text, np.exp(log_prob), np.exp(reference), gold, proxy))
    names = ["run_id", "prompt", "response", "probability", "reference", "gold", "proxy"]
    return pd.DataFrame(rows, columns=names)


def law_rows(runs: Sequence[Run], portrait: PolicySummary, alive: Array) -> pd.DataFrame:
    """The rows of `gold_law.parquet` of the runs that are alive [R]: bins that the policy or the reference visits."""
    middle = (EDGES[1:] + EDGES[:-1]) / 2
    law, reference = portrait.law.cpu().numpy(), portrait.reference_law.cpu().numpy()
    tables = []
    for number in np.flatnonzero(alive).tolist():
        seen = (law[number] > 1e-6) | (reference > 1e-6)
        columns = {"gold": middle[seen], "probability": law[number][seen], "reference": reference[seen]}
        tables.append(pd.DataFrame({"run_id": runs[number].run_id, **columns}))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def margin_rows(runs: Sequence[Run], margins: Tensor, gaps: Tensor, alive: Array, *, bins: int = 12) -> pd.DataFrame:
    """The rows of `margins.parquet`: what margin policies give to the response with more gold, by the gap of gold.

    margins [R, N]: rho of each pair, toward its first response; gaps [R, N]: gold of the first less gold of the second.
    Pairs are taken in the order of gold, so that wrong labels count as what they are, and in bins of equally many.
    """
    rows = []
    for number in np.flatnonzero(alive).tolist():
        gap, margin = (values[number].double().cpu().numpy() for values in (gaps, margins))
        margin, gap = margin * np.where(gap < 0, -1.0, 1.0), np.abs(gap)
        order = np.argsort(gap, kind="stable")
        for part in np.array_split(order, min(bins, len(order))):
            told = (runs[number].run_id, gap[part].mean(), margin[part].mean(), margin[part].std(), len(part))
            rows.append(told)
    return pd.DataFrame(rows, columns=["run_id", "gap", "margin", "margin_deviation", "pairs"])


def finite(parameters: Tensor, diverged_at: Tensor) -> Array:
    """Which runs did not diverge, [R]."""
    return (torch.isfinite(parameters).all(dim=1) & (diverged_at < 0)).cpu().numpy()
