"""Planted proxies: gold with an error of a chosen law, which nothing is trained for.

    proxy(x, y) = gold(x, y) + noise error(x, y)

in deviations of gold under the reference, with mean 0 at each prompt and no recalibration. The error has deviation 1
within prompts under the reference (but for laws that say otherwise), by the listing: exactly where every response is
listed, by the baseline's responses elsewhere. So it is known how a proxy is wrong, and everything that is seen when it
is optimized follows from that. Members of an ensemble have independent errors, and are combined in gold's unit.

The laws are those of simulator/planted/laws/. An error follows from the seed, the law, the member and the tokens, and
from nothing else: `noise` scales the same numbers. Shapes: n prompts and G responses of the listing to each, N
responses that are asked for, T response length.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from torch import Tensor

from simulator.common.errors import ConfigError
from simulator.common.random_streams import random_stream
from simulator.planted import ERROR_LAWS
from simulator.planted.law import Answers, Listed
from simulator.proxies.reward_model import Member
from simulator.worlds.protocol import World, as_listed
from simulator.worlds.reference_sample import gold_score
from simulator.worlds.sampled import SampledWorld

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Planted:
    """One planted member.

    scores, errors [n, G]: of the listing, scores with any zero at each prompt, errors times noise with mean 0.
    score(rows of prompts [N], responses [N, T]): scores [N] of any responses. facts: what the law says of the error.
    """

    scores: Array
    errors: Array
    score: Callable[[Tensor, Tensor], Array]
    facts: dict[str, Any]


def list_answers(world: World) -> Listed:
    """The responses of a world's listing, with gold and log pi_ref."""
    if world.lists_responses:
        here = as_listed(world)
        tokens = np.broadcast_to(here.responses.cpu().numpy(), (len(here.prompts), *here.responses.shape))
        gold, reference = world.listing.gold, here.reference_log_probs
    else:
        baseline = cast(SampledWorld, world).measurement.baseline
        tokens, reference = baseline.responses.cpu().numpy(), baseline.reference
        gold = gold_score(baseline.parts).cpu().numpy()
    prompts = world.prompts.cpu().numpy()[world.listing.rows]
    answers = Answers(prompts=prompts, tokens=tokens, gold=gold, log_reference=lambda: reference.cpu().numpy())
    return Listed(answers=answers, law=world.listing.reference_probs)


def answers_to(world: World, asked: Tensor, responses: Tensor) -> Answers:
    """Responses [N, T] to the prompts of rows `asked` [N], as N prompts with one response each."""
    given = asked[None], responses[None, :, None]
    return Answers(
        prompts=world.prompts[asked].cpu().numpy(),
        tokens=responses.cpu().numpy()[:, None],
        gold=world.gold_of(*given)[0].cpu().numpy(),
        log_reference=lambda: world.log_reference(*given)[0].cpu().numpy(),
    )


def plant(member: Member, world: World, listed: Listed) -> Planted:
    """A member with its error. listed: that of the world. Raises ConfigError where the world has no such error."""
    proxy = member.settings.proxy
    law = ERROR_LAWS[proxy.error]
    key = int(random_stream(member.seed, "planted", proxy.error, member.member).integers(2**64, dtype=np.uint64))
    try:
        error = law.plant(listed, {name: getattr(proxy, name) for name in law.reads}, key)
        raw = error.of(listed.answers)
        scale = proxy.noise / (listed.spread(raw) if law.scaled else 1.0)
    except ValueError as wrong:
        raise ConfigError(f'proxy.error = "{proxy.error}": {wrong}') from None

    def score(asked: Tensor, responses: Tensor) -> Array:
        answers = answers_to(world, asked, responses)
        return (answers.gold + scale * error.of(answers))[:, 0]

    return Planted(
        scores=listed.answers.gold + scale * raw,
        errors=scale * listed.within(raw),
        score=score,
        facts=dict(error.facts),
    )
