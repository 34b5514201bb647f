"""Ways to evaluate policies in a world: ours, which measures a stack of runs, and the naive one, which measures a run.

Shapes: R runs, D numbers of one run's row of parameters, L prompt length, T response length, V vocabulary.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from benchmarks.contenders import naive
from benchmarks.contenders.by_hand import Transformer, network_of
from benchmarks.contenders.cases import Case
from benchmarks.contenders.planned import Kind, run_of, stack_of
from simulator.common.random_streams import random_stream
from simulator.native.library import instructions
from simulator.networks.compute_mode import Computing, computing
from simulator.networks.sampling import Noise, SampleBlocks, gumbel_noise
from simulator.networks.token_log_probs import sample_and_measure
from simulator.preferences.draw import draw_labelled
from simulator.preferences.pairs import Preferences, stack_preferences
from simulator.settings.tables import Settings
from simulator.worlds.build import build_world
from simulator.worlds.enumerable import EnumerableWorld
from simulator.worlds.protocol import World
from simulator.worlds.sampled import SampledWorld

AWAY = 0.05  # of a policy from the reference, in each parameter
REFERENCE_STEPS = 50  # what the reference says does not change what it costs
NOISE = "measure"  # the random stream that responses are drawn with


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way to evaluate; each time it is called it measures so many runs."""

    evaluate: Callable[[], object]
    runs: int


@dataclass(frozen=True, kw_only=True)
class Ways:
    """What there is to be compared in a world: ours, the naive way, and all that a checkpoint measures.

    responses: those of one run. stack: runs that ours measures together.
    """

    of: Mapping[str, Way]
    responses: int
    stack: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A world, its settings, and policies [R, D] in it with the pairs that they learned from."""

    settings: Settings
    world: World
    policies: Tensor
    pairs: Preferences

    def everything(self) -> object:
        """What training pauses for at a checkpoint."""
        return self.world.measure(self.policies, self.pairs, self.settings.data)


def scene_of(case: Case, kind: Kind, runs: int, device: torch.device) -> Scene:
    """So many policies near the reference of a world of this size."""
    settings = run_of(case, kind, reference={"steps": REFERENCE_STEPS}).settings
    world = build_world(settings, device)
    away = random_stream(0, "benchmark", "policies").normal(scale=AWAY, size=(runs, len(world.reference)))
    return Scene(
        settings=settings,
        world=world,
        policies=world.reference + torch.from_numpy(away).float().to(device),
        pairs=stack_preferences([draw_labelled(world, settings.data, seed) for seed in range(runs)]),
    )


def lots_of(world: SampledWorld) -> SampleBlocks:
    """All responses that a measurement draws."""
    return SampleBlocks(prompts=len(world.measurement.prompts), responses=world.measurement.settings.samples)


def noise_of(world: SampledWorld) -> Noise:
    """The noise of all lots of a measurement."""
    lots, vocabulary = lots_of(world), world.architecture.vocabulary
    return gumbel_noise(
        lots,
        range(lots.count),
        vocabulary=vocabulary,
        seed=world.measurement.seed,
        purpose=NOISE,
        device=world.prompts.device,
    )


def followed(world: SampledWorld, policies: Tensor) -> dict[str, Tensor]:
    """KL along responses of policies [R, D], by the engine."""
    return sample_and_measure(
        policies,
        world.reference[None],
        world.architecture,
        world.measurement.prompts,
        responses=world.measurement.settings.samples,
        end=world.end,
        seed=world.measurement.seed,
        purpose=NOISE,
    )


def naively_followed(world: SampledWorld, policy: Transformer, reference: Transformer) -> dict[str, Tensor]:
    """The same of one policy, the naive way."""
    length = world.measurement.baseline.responses.shape[2]
    return naive.sampled(
        policy, reference, world.measurement.prompts, world.measurement.settings.samples, length, noise_of(world)
    )


def checkpoints(scene: Scene) -> dict[str, Way]:
    """All that a checkpoint measures; by torch, too, where that is by the compiled engine."""
    name, runs = "all that a checkpoint measures", len(scene.policies)
    ours = Way(evaluate=scene.everything, runs=runs)
    if scene.policies.device.type != "cpu" or not instructions():
        return {name: ours}

    def by_torch() -> object:
        with computing(Computing(engine="torch")):
            return scene.everything()

    return {name: ours, f"{name}, by torch": Way(evaluate=by_torch, runs=runs)}


def sampled_ways(scene: Scene) -> Ways:
    """Ways to draw responses and to sum KL along them."""
    world, policies = scene.world, scene.policies
    assert isinstance(world, SampledWorld)
    networks = [network_of(row, world.architecture) for row in (policies[0], world.reference)]
    ways = {
        "sampling with KL, ours": Way(evaluate=partial(followed, world, policies), runs=len(policies)),
        "the same without a cache": Way(evaluate=partial(naively_followed, world, *networks), runs=1),
        **checkpoints(scene),
    }
    lots = lots_of(world)
    return Ways(of=ways, responses=lots.prompts * lots.responses, stack=len(policies))


def exact_ways(scene: Scene) -> Ways:
    """Ways to sum over all responses."""
    world, policies, data = scene.world, scene.policies, scene.settings.data
    assert isinstance(world, EnumerableWorld)
    network = network_of(policies[0], world.architecture)

    def naively() -> object:
        return world.measure_distribution(naive.listed(network, world.prompts, world.responses), data)

    ways = {
        "exact evaluation, ours": Way(evaluate=partial(world.measure, policies, None, data), runs=len(policies)),
        "the same, each response a sequence": Way(evaluate=naively, runs=1),
        **checkpoints(scene),
    }
    return Ways(of=ways, responses=len(world.prompts) * len(world.responses), stack=len(policies))


def ways_in(case: Case, kind: Kind, device: torch.device) -> Ways:
    """What is compared in a world of this size, for as many runs as the project trains together."""
    scene = scene_of(case, kind, stack_of(case, device, kind), device)
    return exact_ways(scene) if kind == "enumerable" else sampled_ways(scene)
