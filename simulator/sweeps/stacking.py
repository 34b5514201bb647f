"""From runs to the stacks that train together.

Runs that share everything but what a stack holds per row (loss, beta, seed, learning rate, clipping, labels; proxies,
where a method looks their scores up) can train as one program; they are cut into stacks of bounded size. How they are
cut may depend on the machine, since what comes of a run does not depend on the cut.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from simulator.engine.footprint import STACK_LIMIT
from simulator.methods import METHODS
from simulator.methods.method import Footprint, Method
from simulator.proxies.reward_model import Member, proxy_architecture
from simulator.settings.relevant_keys import world_name
from simulator.settings.run import Run, objective_key
from simulator.settings.tables import Settings
from simulator.settings.world_spec import WorldSpec
from simulator.worlds.policy_classes.sizes import is_tilted, tilted_step_floats

BALANCE = 2**27  # activations of a training step times the square of a stack's size, where a step of a run is fastest


class Stackable(Protocol):
    """What can be stacked: `stack_key` is equal for those that train together."""

    @property
    def stack_key(self) -> str:
        """What those have in common that can train together."""
        ...


S = TypeVar("S", bound=Stackable)


def cells(runs: Sequence[Run]) -> list[tuple[Run, int]]:
    """One run of each kind that differs in nothing but beta and seed, and how many runs there are of the kind."""
    keys = [(id(run.settings), run.method, run.loss) for run in runs]
    some = dict(zip(keys, runs, strict=True))
    return [(some[key], count) for key, count in Counter(keys).items()]


def method_of(run: Run) -> Method:
    """The method of a run."""
    return METHODS[run.method]


def footprint_of(run: Run) -> Footprint:
    """What a run takes."""
    return method_of(run).footprint(run)


def step_floats(layers: int, width: int, heads: int, places: int, length: int) -> int:
    """Numbers that one training step keeps, for so many places of sequences of about `length`."""
    return places * layers * (16 * width + 3 * heads * 2 * length)


def best_size(floats: int) -> int:
    """How many train together best on a CPU, each with so many activations in a training step; at most STACK_LIMIT.

    The cost of calling operations is shared by all, R, of a stack, and that of fetching activations, F of each, from
    beyond a core's own cache grows with R F. The sum of c / R and b R F is least at the square root of c / (b F), and
    BALANCE is c / b as measured at four sizes, from 50 thousand to 7 million activations.
    """
    return max(1, min(STACK_LIMIT, round(math.sqrt(BALANCE / max(floats, 1)))))


def stack_size(run: Run) -> int:
    """How many runs like this train together best."""
    policy, tokens = run.settings.policy, footprint_of(run).tokens
    if is_tilted(run.settings.spec):
        return best_size(tilted_step_floats(run.settings.spec))
    return best_size(step_floats(policy.layers, policy.width, policy.heads, tokens, run.settings.world.response_length))


def proxy_stack_size(settings: Settings) -> int:
    """How many proxies of these settings train together best."""
    world, proxy = settings.world, settings.proxy
    places = proxy.batch * (world.prompt_length + 2 * world.response_length)
    return best_size(step_floats(proxy.layers, proxy.width, proxy.heads, places, world.response_length))


def stacks(runs: Sequence[Run], sizes: Mapping[str, int]) -> list[tuple[Run, ...]]:
    """The runs cut into stacks of at most the size that `sizes` has for what they share.

    Within a stack the runs of one objective are neighbours. Stacks of one world follow each other, long ones first, so
    that no process is left with one of them at the end.
    """
    kinds = {(id(run.settings), run.loss): objective_key(run) for run, _ in cells(runs)}
    found = cut_into_stacks(sorted(runs, key=lambda run: kinds[id(run.settings), run.loss]), sizes)
    worlds = {id(settings): name for settings, name in world_names(runs)}
    place = {name: i for i, name in enumerate(dict.fromkeys(worlds[id(stack[0].settings)] for stack in found))}
    return sorted(found, key=lambda stack: (place[worlds[id(stack[0].settings)]], -stack_work(stack)))


def runs_with_proxies(runs: Iterable[Run]) -> list[Run]:
    """One run for each settings and seed that need proxies: those of all others are the same."""
    return list({(id(run.settings), run.seed): run for run in runs if run.cell.proxies}.values())


def world_names(runs: Iterable[Run]) -> list[tuple[Settings, str]]:
    """The settings of some runs, each object once, with the name of its world."""
    found: list[tuple[Settings, str]] = []
    last: WorldSpec | None = None
    name = ""
    for settings in {id(run.settings): run.settings for run in runs}.values():
        if settings.spec != last:  # neighbours often have one world, and comparing is faster than naming
            last, name = settings.spec, world_name(settings)
        found.append((settings, name))
    return found


def proxy_stacks(members: Sequence[Member], sizes: Mapping[str, int]) -> list[tuple[Member, ...]]:
    """Proxies cut into stacks, long ones first."""
    found = cut_into_stacks(sorted(members, key=lambda member: member.settings.proxy.loss), sizes)
    return sorted(found, key=lambda stack: -proxy_work(stack))


def proxy_work(stack: Sequence[Member]) -> int:
    """What training proxies takes, in multiplications of a pair's tokens."""
    settings = stack[0].settings
    if stack[0].planted:
        return len(stack)
    return len(stack) * stack[0].steps * settings.proxy.batch * proxy_architecture(settings).parameters


def stack_work(stack: Sequence[Run]) -> float:
    """Tokens that go through networks until a stack is trained, or 1 a run."""
    each = [(run.settings, footprint_of(run), count) for run, count in cells(stack)]
    return sum(
        count * max(1.0, one.steps * one.gradients * one.tokens + later_proxy_tokens(settings, one.rounds))
        for settings, one, count in each
    )


def later_proxy_tokens(settings: Settings, rounds: int) -> int:
    """Tokens of pairs that go through the proxies that a run trains itself: those of all rounds but the first."""
    proxy, pair = settings.proxy, settings.world.prompt_length + 2 * settings.world.response_length
    return (rounds - 1) * proxy.members * proxy.steps * proxy.batch * pair


def cut_into_stacks(items: Sequence[S], sizes: Mapping[str, int]) -> list[tuple[S, ...]]:
    """What can be stacked in stacks of at most the size that `sizes` has for what they share, in their order."""
    groups: dict[str, list[S]] = {}
    for item in items:
        groups.setdefault(item.stack_key, []).append(item)
    return [
        tuple(group[i : i + sizes[shared]])
        for shared, group in groups.items()
        for i in range(0, len(group), sizes[shared])
    ]
