"""What labels of responses depend on, and the probability of each label of a pair.

Shapes: A annotators, N pairs, B prompts, K responses to each, T response length.
"""

from typing import Protocol

import numpy as np
from torch import Tensor

from gold_rewards import Judged, kinds_of, outcome_probabilities
from simulator.objectives.stacked_losses import tokens_of
from simulator.preferences.annotators import annotated_gold
from simulator.settings.data_table import Data
from simulator.settings.labels import rule_of
from simulator.worlds.protocol import World

Array = np.ndarray


class Answered(Protocol):
    """Responses to some prompts, such as pairs that are not labelled yet."""

    @property
    def prompt(self) -> Tensor:
        """Rows of the prompts, [B]."""
        ...

    @property
    def responses(self) -> Tensor:
        """Token ids [B, K, T]."""
        ...

    @property
    def reference(self) -> Tensor:
        """log pi_ref of each response, nats, [B, K]."""
        ...


def judge(world: World, data: Data, answers: Answered, gold: Array) -> Judged:
    """What labels of [data] depend on, of responses with this gold [B, K].

    Its gold is [A, B, K]: one of the A annotators labels a pair, each with the same probability.
    """
    return Judged(
        gold=annotated_gold(world, data, answers.prompt, answers.responses, gold),
        tokens=tokens_of(answers.responses).cpu().numpy(),
        log_reference=answers.reference.cpu().numpy(),
        kind=kinds_of(answers.responses.cpu().numpy()),
    )


def label_probabilities(first: Judged, second: Judged, data: Data) -> tuple[Array, Array]:
    """Probability that the first responses are labelled chosen, and that pairs are labelled ties, whoever labels.

    first, second: with gold [A, …], such as `judge` gives at `[..., 0]` and `[..., 1]` for pairs, or at
    `[..., :, None]` and `[..., None, :]` for all pairs of the K responses to a prompt; what comes has no A.
    """
    chosen, tied = outcome_probabilities(first, second, rule_of(data))
    return chosen.mean(axis=0), tied.mean(axis=0)
