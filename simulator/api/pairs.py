"""Preference pairs as users see them.

Shapes: N pairs, L prompt length, T response length, K responses to a prompt, P prompts of the world.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from simulator.api.arguments import tokens_of
from simulator.common.errors import ConfigError
from simulator.preferences.pairs import Preferences
from simulator.proxies.scores import Proxy
from simulator.settings.tables import Settings
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """How a world drew pairs: by which settings, what training takes of them, and the proxy that labelled them."""

    settings: Settings
    preferences: Preferences
    labeller: Proxy | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Labelled pairs of responses.

    Those of `World.preferences`, or your own: prompts must be prompts of the world that a policy is trained in.
    """

    prompts: Tensor
    """Token ids [N, L]."""
    chosen: Tensor
    """Token ids of the chosen response [N, T]; -1 behind its end, where responses may end early."""
    rejected: Tensor
    """Token ids of the rejected response [N, T]."""
    gold: Tensor | None = None
    """Gold of the chosen and of the rejected response [N, 2], float64, in standard deviations under the reference. In
    a sampled world only differences at one prompt mean something. None for pairs of your own."""
    ranked: Tensor | None = None
    """All K responses to each prompt by falling gold [N, K, T], where more than two were drawn."""
    drawn: Drawn | None = field(default=None, repr=False)
    """How a world drew them; no longer heeded where a tensor was replaced."""

    def __repr__(self) -> str:
        """How many there are, and what of."""
        kind = "labelled pairs" if self.ranked is None else f"prompts with {self.ranked.shape[1]} ranked responses"
        return f"Pairs({len(self)} {kind}, responses of {self.chosen.shape[-1]} tokens)"

    def __len__(self) -> int:
        """N."""
        return len(self.prompts)

    @property
    def responses(self) -> Tensor:
        """All responses, chosen first, [N, K, T]."""
        if self.ranked is not None:
            return self.ranked
        return torch.stack([torch.as_tensor(self.chosen), torch.as_tensor(self.rejected)], dim=1)


def pairs_of(drawn: Drawn, prompts: Tensor) -> Pairs:
    """Pairs that a world with these prompts [P, L] drew, whose scores are gold."""
    responses, gold = drawn.preferences.responses, drawn.preferences.scores
    assert gold is not None
    return Pairs(
        prompts=prompts[drawn.preferences.prompt],
        chosen=responses[:, 0],
        rejected=responses[:, -1],
        gold=gold[:, [0, -1]],
        ranked=responses if responses.shape[1] > 2 else None,
        drawn=drawn,
    )


def rows_of(prompts: Tensor, world: World, name: str) -> Tensor:
    """Which of the world's prompts these [N, L] are, [N]. Raises ConfigError where one is none."""
    known = {tuple(prompt): row for row, prompt in enumerate(world.prompts.tolist())}
    rows = [known.get(tuple(prompt), -1) for prompt in prompts.tolist()]
    if -1 in rows:
        place = rows.index(-1)
        raise ConfigError(f"{name}[{place}]: {prompts[place].tolist()} is no prompt of this world; see world.prompts")
    return torch.tensor(rows, dtype=torch.int64, device=world.prompts.device)


def preferences_of(pairs: Any, world: World, name: str) -> Preferences:
    """What training takes of pairs: rows of prompts, responses, log pi_ref and gold. Raises ConfigError."""
    if not isinstance(pairs, Pairs):
        raise ConfigError(
            f"{name}: must be Pairs, such as world.preferences(1024, seed=0) gives, not {type(pairs).__name__}"
        )
    vocabulary, ends = world.architecture.vocabulary, world.end is not None
    length, count = world.prompts.shape[1], len(pairs.prompts)
    prompts = tokens_of(pairs.prompts, f"{name}.prompts", ("N", length), vocabulary)
    size = (count, world.architecture.context - length + 1)
    chosen = tokens_of(pairs.chosen, f"{name}.chosen", size, vocabulary, ends=ends)
    rejected = tokens_of(pairs.rejected, f"{name}.rejected", size, vocabulary, ends=ends)
    if pairs.ranked is None:
        responses = torch.stack([chosen, rejected], dim=1)
    else:
        responses = tokens_of(pairs.ranked, f"{name}.ranked", (count, "K", size[1]), vocabulary, ends=ends)
    responses = responses.to(world.prompts.device)
    row = rows_of(prompts, world, f"{name}.prompts")
    known = pairs.drawn and pairs.drawn.preferences
    if known and torch.equal(known.prompt, row) and torch.equal(known.responses, responses):
        return known
    return Preferences(
        prompt=row,
        responses=responses,
        reference=world.log_reference(row[None], responses[None])[0],
        scores=world.gold_of(row[None], responses[None])[0],
    )
