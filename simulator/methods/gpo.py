"""Training on labelled pairs by a pairwise objective: GPO's f(beta rho), or any other of simulator/objectives/.

Generalized Preference Optimization: Tang et al. 2024, arXiv:2402.05749. Gold labels the pairs, or a proxy does: it then
calls the response with the larger score the chosen one, of `data.pool` pairs that gold never saw. Offline the pairs are
drawn once, from the behaviour policy; with `online.refresh` the policy draws more as it trains. Shapes: R runs, N pairs
of one run, K responses of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simulator.methods.method import Card, Choices, Footprint, Keys, Method, Reads, Strength, proxy_keys
from simulator.objectives import OBJECTIVES
from simulator.objectives.linked import check_link
from simulator.settings.labels import FLIPPED, LABELS, has_ties, is_intransitive, labels_per_row
from simulator.settings.relevant_keys import REFERENCE
from simulator.settings.run import Cell, Run, hyperparameters_of, objective_of, responses_compared
from simulator.settings.world_spec import WORLD_TABLES

if TYPE_CHECKING:
    import pandas as pd

    from simulator.engine.loop import PolicyLearner
    from simulator.engine.recorder import Recorder
    from simulator.preferences.pairs import Preferences
    from simulator.proxies.scores import Proxy
    from simulator.worlds.protocol import World


def grid(choices: Choices) -> Sequence[Strength]:
    """Every objective at every beta, or once where it has none."""
    return [
        (objective, beta) for objective in choices.loss for beta in (choices.beta if objective.has_beta else (None,))
    ]


def rounds(cell: Cell) -> int:
    """How often fresh pairs are drawn."""
    return cell.settings.online.rounds(cell.settings.train.steps)


def by_proxy(cell: Cell) -> bool:
    """Whether a proxy labels pairs, at the beginning or later, or has the rewards that the objective reads."""
    settings, objective = cell.settings, objective_of(cell)
    labelled_later = rounds(cell) > 0 and settings.online.labeller == "proxy" and not objective.ranked
    rewarded = objective.scored and hyperparameters_of(cell).get("reward") == "proxy"
    return settings.data.labeller == "proxy" or labelled_later or rewarded


def reads(cell: Cell) -> Reads:
    """Raises ValueError where a batch has no other pair to compare with, or a loss takes no pairs that are tied."""
    check_batches(cell)
    check_class(cell)
    check_population(cell)
    check_link(objective_of(cell), cell.settings.train.divergence)
    check_reference(cell)
    check_filter(cell)
    if cell.settings.data.file and cell.settings.measure.held_out:
        raise ValueError(
            f"measure.held_out (={cell.settings.measure.held_out}) draws further pairs like those of [data], and "
            "data.file has no more; take measure.held_out = 0, or no data.file"
        )
    if cell.settings.data.file and objective_of(cell).ranked:
        raise ValueError(
            f'loss "{objective_of(cell).name}" ranks several responses to a prompt, and data.file has pairs; take '
            "another loss, or no data.file"
        )
    check_ties(cell)
    own = ("objective",) if objective_of(cell).tables else ()
    online = ("online",) if rounds(cell) else ()
    proxy = ("proxy",) if by_proxy(cell) else ()
    return Reads(
        tables=(*WORLD_TABLES, "data", "train", *own, *online, *proxy),
        ignores=ignores(cell),
        per_row=per_row(cell),
        proxies=by_proxy(cell),
        always_report=(
            *(
                "online.refresh",
                "train.reference_sync",
                "policy.kind",
                "data.population",
                "data.filter",
                "train.divergence",
            ),
            *(("proxy.kind",) if by_proxy(cell) else ()),
        ),
    )


def check_batches(cell: Cell) -> None:
    """Raises ValueError where an objective compares pairs of a batch, and batches have one."""
    settings, objective = cell.settings, objective_of(cell)
    pairs = settings.data.kept(settings.learned_from)
    batch = min(settings.train.batch, pairs, settings.online.pairs if rounds(cell) else 10**9)
    if (objective.mismatched or objective.sorts_pairs) and batch < 2:
        raise ValueError(
            f'loss "{objective.name}" compares a pair with others of its batch, and batches have one pair: train.batch '
            f"(={settings.train.batch}), and the pairs that there are, must be at least 2"
        )


def check_ties(cell: Cell) -> None:
    """Raises ValueError where gold labels ties, and an objective takes no weights of pairs."""
    settings, objective = cell.settings, objective_of(cell)
    by_gold = settings.data.labeller == "gold" or (rounds(cell) > 0 and settings.online.labeller == "gold")
    if has_ties(settings.data) and by_gold and not objective.weighable:
        why = "looks at chosen responses beyond the loss of each pair, and a tied pair has none"
        if objective.sorts_pairs:
            why = "sorts the pairs of a batch, and a tied pair has no place among them"
        raise ValueError(f'loss "{objective.name}" {why}; take another loss, or data.labels = "bradley_terry"')


def check_class(cell: Cell) -> None:
    """Raises ValueError where an objective reads hidden states, and policies have none."""
    objective, kind = objective_of(cell), cell.settings.policy.kind
    if objective.reads_states and kind != "transformer":
        raise ValueError(
            f'loss "{objective.name}" reads hidden states of the policy\'s network, and policy.kind = "{kind}" has '
            'none; take another loss, or policy.kind = "transformer"'
        )


def check_reference(cell: Cell) -> None:
    """Raises ValueError where the reference follows the policy, and an objective knows one that stays."""
    train, objective = cell.settings.train, objective_of(cell)
    if train.moves_reference and objective.term(hyperparameters_of(cell)) is not None:
        raise ValueError(
            f'train.reference_sync (={train.reference_sync}) moves the reference, and loss "{objective.name}" has a '
            "term that compares with one that stays; take another loss, or train.reference_sync = 0"
        )


def check_population(cell: Cell) -> None:
    """Raises ValueError where an objective, or what draws pairs, has no expectation over all pairs."""
    if not cell.settings.data.population:
        return
    objective, online = objective_of(cell), cell.settings.online
    reason = (
        (rounds(cell) > 0 and f"online.refresh (={online.refresh}) draws pairs from the policy")
        or (objective.ranked and f'loss "{objective.name}" ranks several responses to a prompt')
        or (objective.mismatched and f'loss "{objective.name}" compares each pair with its neighbour in a batch')
        or (objective.tokens and f'loss "{objective.name}" reads single tokens, of pairs that are drawn')
        or (not objective.weighable and f'loss "{objective.name}" reads a batch of pairs that count alike')
        or (by_proxy(cell) and "a proxy learns from drawn pairs")
        or (cell.settings.data.filter != "none" and f'data.filter (="{cell.settings.data.filter}") drops pairs')
    )
    if reason:
        raise ValueError(f"data.population is the expectation over all pairs that gold labels, and {reason}")


def check_filter(cell: Cell) -> None:
    """Raises ValueError where a filter would leave some pairs of a run unseen, or has no pairs to look at."""
    data, objective = cell.settings.data, objective_of(cell)
    if data.filter == "none":
        return
    if rounds(cell):
        raise ValueError(
            f'data.filter (="{data.filter}") scores pairs before training, and online.refresh '
            f"(={cell.settings.online.refresh}) draws more of them later; take online.refresh = 0, or no data.filter"
        )
    if objective.ranked:
        raise ValueError(
            f'loss "{objective.name}" ranks several responses to a prompt, and data.filter (="{data.filter}") scores '
            "pairs; take another loss, or no data.filter"
        )


def ignores(cell: Cell) -> Keys:
    """What says nothing: tables of other objectives, the pool that nobody labels, how to make no ensemble, and how a
    reference moves that an objective has not.
    """
    settings, objective = cell.settings, objective_of(cell)
    keys: dict[str, Sequence[str]] = {"proxy": proxy_keys(settings)} if by_proxy(cell) else {}
    measured = FLIPPED if is_intransitive(settings.data) else LABELS  # columns follow from intransitive labels, too
    unlabelled = measured if objective.ranked and not by_proxy(cell) else unread_by_planted(cell)
    keys["data"] = (*unlabelled, *(("pool",) if settings.data.labeller == "gold" else ()))
    keys["online"] = ("labeller",) if objective.ranked else ()
    keys["train"] = () if objective.has_reference else REFERENCE
    others = {other.table for other in OBJECTIVES.values()} - {*objective.tables, ""}
    unread = [f"{objective.table}.{name}" for name in objective.ignores(hyperparameters_of(cell))]
    return keys | {"objective": (*sorted(others), *unread)}


def unread_by_planted(cell: Cell) -> Sequence[str]:
    """What of [data] says nothing where a planted proxy labels, so that nothing is learned from gold's labels."""
    settings = cell.settings
    if not (settings.proxy.planted and settings.data.labeller == "proxy"):
        return ()
    gold_labels_later = rounds(cell) > 0 and settings.online.labeller == "gold"
    labels = FLIPPED if is_intransitive(settings.data) else LABELS
    return ("pairs", "file", *(() if gold_labels_later else labels))


def per_row(cell: Cell) -> Keys:
    """What may differ between the rows of a stack; pairs of the pool are as many whoever labels them."""
    train: dict[str, Sequence[str] | None] = {
        "train": ("learning_rate", "clip", "reference_mixup"),
        "objective": None,
    }
    labels = labels_per_row(cell.settings.data)
    if not by_proxy(cell):
        return train | {"data": labels}
    pool = cell.settings.data.labeller == "proxy"
    return train | {"data": (*labels, *(("pairs",) if pool else ())), "proxy": None}


def footprint(cell: Cell) -> Footprint:
    """What a step takes a gradient of, what terms need included."""
    settings, objective, own = cell.settings, objective_of(cell), hyperparameters_of(cell)
    world, pairs, count = settings.world, most_pairs(cell), responses_compared(cell)
    batch, behind = min(settings.train.batch, pairs), count
    if settings.data.population:  # each response is read once, and not in every pair
        batch, behind = world.prompts * world.responses, 1
    tokens = batch * (world.prompt_length + behind * (world.response_length - 1))
    calibrated, train = calibrated_tokens(cell), settings.train
    followed = pairs / (3 * batch * train.reference_sync) if train.moves_reference else 0.0  # a pass over all pairs
    return Footprint(
        steps=settings.train.steps,
        sequences=batch,
        tokens=tokens,
        gradients=(1 if online_replay(cell) == "none" else 2) * (objective.cost(own) + calibrated / tokens + followed),
        pairs=pairs,
        responses=count,
        enumerated_tokens=calibrated,
        held_out=settings.measure.held_out,
    )


def online_replay(cell: Cell) -> str:
    """Whose fresh pairs it trains on: "none" where they are its own, or where there are none."""
    return cell.settings.online.replay if rounds(cell) else "none"


def most_pairs(cell: Cell) -> int:
    """N, once the last fresh pairs are there; with those that are held to be replayed."""
    first, online = cell.settings.learned_from, cell.settings.online
    held = 0 if online_replay(cell) == "none" else rounds(cell) * online.pairs
    if online.keep == "newest" and rounds(cell):
        return max(first, online.pairs) + held
    return first + rounds(cell) * online.pairs + held


def calibrated_tokens(cell: Cell) -> int:
    """Tokens that the expectation under the reference takes a gradient of in a step."""
    world, prompts = cell.settings.world, objective_of(cell).calibrates(hyperparameters_of(cell))
    if not cell.settings.spec.lists_responses:
        return prompts * (world.prompt_length + 2 * (world.response_length - 1))
    inner = sum(world.vocabulary**t for t in range(1, world.response_length))
    return min(prompts, world.prompts) * (world.prompt_length + inner)


def learner(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], pairs: Preferences | None) -> PolicyLearner:
    """The stack before its first step."""
    from simulator.methods.algorithms.pairwise_training import new_learner

    return new_learner(runs, world, proxies, pairs)


def run(runs: Sequence[Run], world: World, proxies: Sequence[Proxy], recorder: Recorder) -> pd.DataFrame:
    """The rows of the runs of a stack."""
    from simulator.methods.algorithms.pairwise_training import train

    return train(runs, world, proxies, recorder)


METHOD = Method(
    card=Card(name="gpo", label="training on pairs", varies=("loss", "beta"), against_proxy=False),
    grid=grid,
    reads=reads,
    footprint=footprint,
    run=run,
    learner=learner,
    read_where={
        "train": "",
        "train.batch": "",
        "train.divergence": "",
        "train.alpha": 'and train.divergence = "alpha"',
        "train.reference_sync": "and a loss that has a reference, and train.reference_sync from 1 to below train.steps",
        "train.reference_mixup": "and train.reference_sync from 1 to below train.steps",
        "data.pool": 'with data.labeller = "proxy"',
        "data.labeller": "",
        "online": "and online.refresh from 1 to below train.steps",
        "sweep.beta": "and a loss that has a beta",
    },
)
