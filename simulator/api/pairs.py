"""Preference pairs as users see them.

Shapes: N pairs, L prompt length, T response length, K responses to a prompt, P prompts of the world.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import as_tokens, changed, rows_among, tokens_of
from simulator.common.errors import ConfigError, shown
from simulator.networks.compute_mode import one_thread
from simulator.preferences.draw import draw_labelled
from simulator.preferences.filtering import kept_pairs, scores_at_reference
from simulator.preferences.pairs import Preferences, arranged, labelled_by_proxy, ranked
from simulator.preferences.pairs_file import check_pairs_file, file_preferences, read_pairs
from simulator.proxies.scores import Proxy, scorer_of
from simulator.settings.data_table import Data, pairs_in
from simulator.settings.labels import LABELS
from simulator.settings.tables import Settings
from simulator.worlds.protocol import World

if TYPE_CHECKING:
    from simulator.api.world import World as PublicWorld


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """How a world drew pairs: the world, settings and seed, what training takes of them, and who labelled them."""

    world: World
    settings: Settings
    seed: int
    preferences: Preferences
    labeller: Proxy | None

    def is_of(self, seed: int) -> bool:
        """Whether a sweep has these pairs at this seed; those of a file are the same at every seed."""
        data = self.settings.data
        return seed == self.seed or bool(data.file and data.labeller == "gold")


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Labelled pairs of responses.

    Those of `World.preferences`, or your own: prompts must be prompts of the world that a policy is trained in. Raises
    ConfigError for what are no token ids.
    """

    prompts: Tensor
    """Token ids [N, L], a tensor, an array or lists."""
    chosen: Tensor
    """Token ids of the chosen response [N, T]; -1 behind its end, where responses may end early."""
    rejected: Tensor
    """Token ids of the rejected response [N, T]."""
    gold: Tensor | None = None
    """Gold of the chosen and of the rejected response [N, 2], float64, in standard deviations under the reference. In
    a sampled world only differences at one prompt mean something. None for pairs of your own."""
    ranked: Tensor | None = None
    """All K responses to each prompt, best first, [N, K, T], where more than two were drawn."""
    weights: Tensor | None = None
    """Weights [N, 2] of the loss of each pair as it stands, and with its responses exchanged: ½ and ½ for a tie, p and
    1 - p for a soft label. Without any they are 1 and 0."""
    drawn: Drawn | None = field(default=None, repr=False)
    """How a world drew them; not heeded where a tensor is another."""

    def __post_init__(self) -> None:
        """Take token ids as tensors."""
        for name in ("prompts", "chosen", "rejected", "ranked"):
            value: Any = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, as_tokens(value, f"Pairs: {name}"))
        if self.weights is not None:
            object.__setattr__(self, "weights", as_weights(self.weights, len(self.prompts)))
            if self.ranked is not None:
                raise ConfigError("Pairs: weights: are of pairs of two responses, not of ranked ones")

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
        return torch.stack([self.chosen, self.rejected], dim=1) if self.ranked is None else self.ranked


def as_weights(value: Any, count: int) -> Tensor:
    """Weights of pairs, float64 [N, 2]. Raises ConfigError."""
    try:
        weights = torch.as_tensor(value, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError):
        raise ConfigError(f"Pairs: weights: must be numbers of shape [{count}, 2], not {shown(value)}") from None
    if weights.shape != (count, 2):
        raise ConfigError(f"Pairs: weights: must be of shape [{count}, 2], not {[*weights.shape]}")
    if not (weights.isfinite().all() and (weights >= 0).all() and (weights.sum(dim=1) > 0).all()):
        raise ConfigError("Pairs: weights: must be finite numbers of at least 0, and not both 0 for a pair")
    return weights


def pairs_of(drawn: Drawn) -> Pairs:
    """Pairs that a world drew, whose scores are gold; copies, so that changing them changes nothing else."""
    responses, gold = drawn.preferences.responses, drawn.preferences.scores
    assert gold is not None
    return Pairs(
        prompts=drawn.world.prompts[drawn.preferences.prompt],
        chosen=responses[:, 0].clone(),
        rejected=responses[:, -1].clone(),
        gold=gold[:, [0, -1]],
        ranked=responses.clone() if responses.shape[1] > 2 else None,
        weights=None if drawn.preferences.weights is None else drawn.preferences.weights.clone(),
        drawn=drawn,
    )


def check_labels(changes: Mapping[str, Any], where: str, *others: str) -> None:
    """Raises ConfigError where something was said of labels, or of others, that says nothing."""
    for key in (*LABELS, *others):
        if changes[key] is not None:
            raise ConfigError(f"{key} = {shown(changes[key])}: says nothing {where}")


def settings_of_pairs(settings: Settings, changes: Mapping[str, Any], labeller: Settings | None) -> Settings:
    """The settings that pairs are drawn with: those of the world with changes of [data], and of a proxy that labels.

    Raises ConfigError.
    """
    named = {f"data.{key}": value for key, value in changes.items()}
    if changes["file"] and changes["pairs"] is None:
        named["data.pairs"] = pairs_in(changes["file"])
    if labeller is not None:
        check_labels(changes, "where a proxy labels", "file")
        settings = settings.model_copy(update={"data": labeller.data, "proxy": labeller.proxy})
        named |= {"data.pairs": None, "data.pool": changes["pairs"], "data.labeller": "proxy"}
    if settings.data.population and changes["pairs"] is not None:
        raise ConfigError(
            f"pairs = {shown(changes['pairs'])}: this world has data.population = true, which is all pairs"
        )
    settings = changed(settings, named, "preferences")
    if settings.data.file and labeller is None:
        check_labels(changes, f"of pairs in a file, {settings.data.file}")
    return settings


def draw_pairs(world: World, data: Data, seed: int, count: int, labeller: Proxy | None) -> Preferences:
    """Pairs with gold as their scores, labelled; or ranked, where count, the responses to a prompt, is more than two.

    Without those that `data.filter` drops. Raises ConfigError.
    """
    if data.filter != "none" and count > 2:
        raise ConfigError(f'responses = {count}: data.filter = "{data.filter}" scores pairs, of two responses')
    if data.file and labeller is None and count > 2:
        raise ConfigError(f'responses = {count}: {data.file} has pairs, of two responses; file="" draws others')
    if count == 2 and labeller is None:
        return draw_labelled(world, data, seed)
    purpose = "pairs" if labeller is None else "pool"
    drawn = world.candidates(data, seed, data.learned_from, purpose, count)
    gold = world.gold_of(drawn.prompt[None], drawn.responses[None])[0].cpu().numpy()
    if labeller is None:
        return ranked(drawn, gold)
    scores = scorer_of(world, [labeller]).of(drawn.prompt[None], drawn.responses[None])[0]
    judged = scores.cpu().numpy()
    if count > 2:
        return arranged(drawn, gold, torch.from_numpy(np.argsort(-judged, axis=1, kind="stable")).to(scores.device))
    return kept_pairs(labelled_by_proxy(drawn, judged, gold), world, data)


def counted(pairs: Pairs, data: Data, key: str) -> dict[str, Any]:
    """What to change in the [data] of pairs, so that its "pairs", or its "pool", says how many there are.

    Where a filter dropped some it says so already; pairs that nobody filtered are taken as they are.
    """
    if data.filter != "none" and pairs.drawn is not None and len(pairs) == data.kept(getattr(data, key)):
        return {}
    return {f"data.{key}": len(pairs), "data.filter": "none"}


def pairs_of_file(name: str, world: World, settings: Settings) -> Pairs:
    """All pairs of a file that a world can use; warns of those that it cannot. Raises ConfigError."""
    usable = len(read_pairs(name, world).rows)
    keys = {"data.file": name, "data.pairs": usable, "data.labeller": "gold", "data.filter": "none"}
    settings = changed(settings, keys, "read_pairs")
    for text in check_pairs_file(name, usable, world):
        warnings.warn(text, UserWarning, stacklevel=3)
    with one_thread(), torch.no_grad():
        preferences = file_preferences(name, usable, world)
    return pairs_of(Drawn(world=world, settings=settings, seed=0, preferences=preferences, labeller=None))


def rows_of(prompts: Tensor, world: World, name: str) -> Tensor:
    """Which of the world's prompts these [N, L] are, [N]. Raises ConfigError where one is none."""
    return rows_among(prompts, world.prompts, name)


def checked_responses(pairs: Pairs, world: World, name: str) -> Tensor:
    """The responses of pairs, chosen first, [N, K, T]. Raises ConfigError."""
    count, vocabulary, device = len(pairs), world.architecture.vocabulary, world.prompts.device
    length = world.architecture.context - world.prompts.shape[1] + 1
    chosen, rejected = (
        tokens_of(getattr(pairs, side), f"{name}.{side}", (count, length), vocabulary, end=world.end).to(device)
        for side in ("chosen", "rejected")
    )
    if pairs.ranked is None:
        return torch.stack([chosen, rejected], dim=1)
    shape = (count, "K", length)
    responses = tokens_of(pairs.ranked, f"{name}.ranked", shape, vocabulary, end=world.end).to(device)
    if not (torch.equal(responses[:, 0], chosen) and torch.equal(responses[:, -1], rejected)):
        raise ConfigError(f"{name}: chosen and rejected must be the first and the last of ranked; replace all three")
    return responses


def preferences_of(pairs: Any, world: World, name: str) -> Preferences:
    """What training takes of pairs: rows of prompts, responses, log pi_ref and gold. Raises ConfigError."""
    if not isinstance(pairs, Pairs):
        raise ConfigError(
            f"{name}: must be Pairs, such as world.preferences(1024, seed=0) gives, not {type(pairs).__name__}"
        )
    if not len(pairs):
        raise ConfigError(f"{name}: must have at least one pair")
    shape = ("N", world.prompts.shape[1])
    row = rows_of(tokens_of(pairs.prompts, f"{name}.prompts", shape, world.architecture.vocabulary), world, name)
    responses = checked_responses(pairs, world, name)
    weights = None if pairs.weights is None else pairs.weights.to(row.device)
    if pairs.drawn is not None and is_as_drawn(pairs.drawn, world, row, responses, weights):
        return pairs.drawn.preferences
    return Preferences(
        prompt=row,
        responses=responses,
        reference=world.log_reference(row[None], responses[None])[0],
        scores=world.gold_of(row[None], responses[None])[0],
        weights=weights,
    )


def is_as_drawn(drawn: Drawn, world: World, row: Tensor, responses: Tensor, weights: Tensor | None) -> bool:
    """Whether pairs are those that this world drew."""
    known = drawn.preferences
    if (weights is None) != (known.weights is None):
        return False
    if weights is not None and known.weights is not None and not torch.equal(weights, known.weights):
        return False
    return drawn.world is world and torch.equal(known.prompt, row) and torch.equal(known.responses, responses)


def displacement(world: "PublicWorld", pairs: Pairs) -> pd.DataFrame:
    """How much each pair is likely to lower the probability of its chosen response, at the reference; a row a pair.

    `pair`: its number. `ches`: the centered hidden embedding similarity <a, b> - |a|^2, where a and b are the sums over
    tokens of the last hidden states of the chosen and the rejected response; `ches_normalized`: the same of means; the
    larger, the more displacement (Razin et al. 2024, arXiv:2410.08847, Definition 2). `displacement_rate`: <g_w, g_w -
    g_l>, where g is the gradient of the log-probability of a response: how fast gradient flow on the pair alone moves
    that of its chosen response, up to a positive factor; below 0 it falls. Of ranked responses, the first and the last
    are compared. Sweeps record the same with `measure.displacement`, and drop pairs by it with `data.filter`. Raises
    ConfigError.
    """
    from simulator.api.stack import check_world  # which stands on this module

    check_world(world)
    known = preferences_of(pairs, world.simulated, "pairs")
    with one_thread(), torch.no_grad():
        scores = scores_at_reference(known, world.simulated)
    return pd.DataFrame(
        {"pair": range(len(pairs)), **{name: held.cpu().numpy() for name, held in vars(scores).items()}}
    )
