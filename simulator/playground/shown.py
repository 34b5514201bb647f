"""What the playground shows of policies beside their curves: where probability is, and what they say.

Shapes: R policies, P prompts, G responses of T tokens in all, D parameters of one, N pairs. Every response to a prompt
belongs to one of four parts: those that pairs have more often as the chosen one, those that they have otherwise, those
in no pair that keep the grammar, and those in no pair that break it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from simulator.api.pairs import Pairs, rows_of
from simulator.api.world import World
from simulator.networks.listing.prefix_tree import node_log_probs
from simulator.playground.world_data import enumerable

PARTS = ("chosen", "rejected", "unseen", "ungrammatical")
LIKELIEST, KNOWN = 6, 4  # of the policy and of the reference, to each prompt

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Of every response [P, G]: the number of its part, how often it is chosen in pairs, and how often rejected."""

    part: Array
    chosen: Array
    rejected: Array


def seen_in(world: World, pairs: Sequence[Pairs], breaks: Array) -> Seen:
    """Where the responses of some pairs lie among all; breaks [P, G]: see `world_data.packed`."""
    shape = breaks.shape
    counts = np.zeros((2, *shape), dtype=np.int64)
    for some in pairs:
        row = rows_of(some.prompts, world.simulated, "pairs").numpy()
        for place, responses in enumerate((some.chosen, some.rejected)):
            np.add.at(counts[place], (row, enumerable(world).response_list.number(responses).numpy()), 1)
    part = np.where(counts.sum(axis=0) == 0, np.where(breaks > 0, 3, 2), np.where(counts[0] > counts[1], 0, 1))
    return Seen(part=part, chosen=counts[0], rejected=counts[1])


def all_log_probs(world: World, parameters: Tensor) -> Array:
    """log pi of every response, float64 [R, P, G], of policies with `parameters` [R, D]."""
    simulated = world.simulated
    with torch.no_grad():
        nodes = node_log_probs(parameters, simulated.architecture, simulated.prompts, world.response_length)
        found: Array = enumerable(world).response_list.log_probs(nodes).numpy()
    return found


def masses(log_probs: Array, seen: Seen) -> list[float]:
    """The probability of each part, as a mean over prompts, for log pi [P, G]."""
    law = np.exp(log_probs)
    return [float(law[seen.part == part].sum() / len(law)) for part in range(len(PARTS))]


def responses_shown(world: World, log_probs: Array, seen: Seen, breaks: Array) -> list[list[dict[str, Any]]]:
    """For each prompt the responses that a policy, log pi [P, G], and the reference are likeliest to give."""
    law, tokens = enumerable(world).reference_law, world.responses.tolist()
    reference, gold, fluency = law.reference.numpy(), law.gold.numpy(), law.fluency.numpy()
    shown = []
    for prompt in range(len(log_probs)):
        order = [np.argsort(-values[prompt], kind="stable") for values in (log_probs, reference)]
        places = dict.fromkeys([*order[0][:LIKELIEST].tolist(), *order[1][:KNOWN].tolist()])
        shown.append(
            [
                {
                    "tokens": tokens[place],
                    "reference": float(np.exp(reference[prompt, place])),
                    "policy": float(np.exp(log_probs[prompt, place])),
                    "gold": float(gold[prompt, place]),
                    "fluency": float(fluency[prompt, place]),
                    "part": int(seen.part[prompt, place]),
                    "chosen": int(seen.chosen[prompt, place]),
                    "rejected": int(seen.rejected[prompt, place]),
                    "breaks": int(breaks[prompt, place]),
                }
                for place in places
            ]
        )
    return shown


def frame_of(world: World, row: Any, log_probs: Array, seen: Seen, breaks: Array, *, detail: bool) -> dict[str, Any]:
    """What the page shows of a policy at a checkpoint: its row of `curves.parquet`, and log pi [P, G]."""
    columns = {
        **{"kl": "kl", "gold": "gold", "fluency": "fluency", "proxy": "proxy", "entropy": "entropy"},
        **{"muSquared": "mu_squared", "loss": "train_loss", "accuracy": "train_accuracy"},
        **{"chosen": "chosen_logratio", "rejected": "rejected_logratio"},
    }
    step = int(row["step"])
    if row["status"] != "ok":
        return {"step": step, "diverged": True}
    measured = {name: float(row[column]) for name, column in columns.items()}
    said = {"said": responses_shown(world, log_probs, seen, breaks)} if detail else {}
    return {"step": step, **measured, "mass": masses(log_probs, seen), **said}
