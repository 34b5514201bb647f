"""What `proxies.parquet` says of a planted proxy: how it is wrong, at the reference and where optimizing it leads.

Shapes: n prompts and G responses of the world's listing to each.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from simulator.measurement.gibbs import gibbs
from simulator.planted import ERROR_LAWS
from simulator.planted.law import Listed
from simulator.planted.tail_index import tail_index
from simulator.proxies.agreement import against_gold, correlation
from simulator.proxies.planting import Planted
from simulator.proxies.reward_model import Member
from simulator.settings.run import axis_column
from simulator.worlds.protocol import World, as_listed

Array = np.ndarray

OPTIMUM_KL = 4.0  # nats, mean over prompts
COLDEST, HOTTEST = -12.0, 12.0  # natural logarithms of tau
HALVINGS = 40
TRAINING = ("parameters", "best_step", "train_loss", "train_accuracy", "held_out_loss", "held_out_accuracy")
UNDER_OPTIMUM = ("optimum_kl", "optimum_gold", "optimum_correlation")


def optimum_against(log_reference: Array, scores: Array, nats: float = OPTIMUM_KL) -> tuple[Array, float]:
    """The Gibbs policy against scores [n, G] whose KL comes closest to `nats` from below, as probabilities [n, G]; and
    its KL.

    KL falls as tau rises, and is found by halving log tau. log_reference [n, G]: log pi_ref.
    """
    reference, reward = torch.from_numpy(log_reference), torch.from_numpy(scores)

    def at(log_tau: float) -> tuple[Array, float]:
        log_law = gibbs(reference, reward, torch.tensor([log_tau], dtype=torch.float64).exp())[0]
        law = log_law.exp()
        return law.numpy(), float((law * (log_law - reference)).sum(dim=1).mean())

    cold, hot = COLDEST, HOTTEST
    for _ in range(HALVINGS):
        middle = (cold + hot) / 2
        if at(middle)[1] > nats:
            cold = middle
        else:
            hot = middle
    return at(hot)


def under_optimum(world: World, scores: Array) -> Mapping[str, float]:
    """What is UNDER_OPTIMUM for scores [n, G], where every response is listed."""
    gold = world.listing.gold
    law, kl = optimum_against(as_listed(world).reference_log_probs.cpu().numpy(), scores)
    found = kl, float((law * gold).sum(axis=1).mean()), correlation(law, scores, gold)
    return dict(zip(UNDER_OPTIMUM, found, strict=True))


def facts_of_planted(member: Member, planted: Planted, world: World, listed: Listed) -> dict[str, Any]:
    """A row of `proxies.parquet`.

    Beside what is known of trained proxies: kind, error, noise, what its law has beside; tail_index of the error under
    the reference (Hill); and, of the Gibbs policy against it whose KL is closest to OPTIMUM_KL, that KL, gold, and the
    correlation with gold there. The last three need all responses and are empty in sampled worlds. Columns on training
    are empty.
    """
    proxy, scores = member.settings.proxy, listed.within(planted.scores)
    law = ERROR_LAWS[proxy.error]
    return {
        "proxy": member.name,
        "kind": proxy.kind,
        "error": proxy.error,
        "noise": proxy.noise,
        "seed": member.seed,
        "member": member.member,
        **{f"error_{name}": getattr(proxy, name) for name in law.reads},
        **planted.facts,
        **{axis_column(name): value for name, value in member.axes.items()},
        **dict.fromkeys(("pairs", *TRAINING), float("nan")),
        **against_gold(world.listing, scores),
        "tail_index": tail_index(planted.errors, listed.law),
        **(under_optimum(world, scores) if world.lists_responses else dict.fromkeys(UNDER_OPTIMUM, float("nan"))),
    }
