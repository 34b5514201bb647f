"""Every mistake of a user says which argument, the rule, the value that came, and the nearest right one."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

import simulator as sim
from tests.conftest import small_sweep

Call = Callable[[sim.World, sim.Pairs], object]


@pytest.fixture(scope="module")
def world() -> sim.World:
    return sim.make_world(small_sweep())


@pytest.fixture(scope="module")
def pairs(world: sim.World) -> sim.Pairs:
    return world.preferences(8)


def own(pairs: sim.Pairs, **changes: object) -> sim.Pairs:
    tensors = {"prompts": pairs.prompts, "chosen": pairs.chosen, "rejected": pairs.rejected}
    return sim.Pairs(**{**tensors, **changes})


def absent(world: sim.World) -> torch.Tensor:
    """A prompt that the world has not, [1, L]."""
    every = torch.cartesian_prod(*[torch.arange(world.vocabulary)] * world.prompts.shape[1])
    known = world.prompts.tolist()
    return next(prompt for prompt in every if prompt.tolist() not in known)[None]


WRONG: dict[str, tuple[Call, str]] = {
    "loss": (
        lambda w, p: sim.train(w, p, loss="logistc"),
        'loss = "logistc": must be one of .*; did you mean logistic',
    ),
    "no loss": (lambda w, p: sim.train(w, p, loss=[]), r"loss = \[\]: must be a value, or a list with at least one"),
    "beta": (lambda w, p: sim.train(w, p, beta=[0.1, 0]), "beta = 0: must be a number above 0"),
    "beta nan": (lambda w, p: sim.train(w, p, beta=float("nan")), "beta = nan: must be a number above 0"),
    "beta text": (lambda w, p: sim.train(w, p, beta="0.1"), 'beta = "0.1": must be a number above 0'),
    "beta twice": (lambda w, p: sim.train(w, p, beta=[0.1, 0.1]), "loss logistic, beta 0.1, seed 0: comes twice"),
    "penalty": (lambda w, p: sim.train(w, p, penalty=-1), "penalty = -1: must be a number of at least 0"),
    "seed": (lambda w, p: sim.train(w, p, seed=-1), "seed = -1: must be a whole number from 0 to"),
    "seeds": (lambda w, p: sim.train(w, [p, p], seed=0), "seed: must have a value for each of the 2 data, not 1"),
    "steps": (lambda w, p: sim.train(w, p, steps=0), r"train.steps = 0: must be .* \(in train\(\)\)"),
    "setting": (
        lambda w, p: sim.train(w, p, settings={"train.step": 3}),
        r"unknown key train.step \(= 3\); did you mean train.steps",
    ),
    "twice": (
        lambda w, p: sim.train(w, p, steps=7, settings={"train.steps": 3}),
        "train: train.steps comes twice, as steps= and in settings",
    ),
    "twice for a proxy": (
        lambda w, p: sim.train_proxy(w, p, steps=7, settings={"proxy.steps": 3}),
        "train_proxy: proxy.steps comes twice, as steps= and in settings",
    ),
    "swapped": (lambda w, p: sim.train(p, w), r'world: must be a World, such as make_world\("quickstart"\), not Pairs'),
    "no table": (
        lambda w, p: sim.train(w, p, settings={"learning_rate": 0.1}),
        'train: settings: "learning_rate" has no table in front; write such as train.learning_rate',
    ),
    "capitals": (lambda w, p: sim.train(w, p, loss="DPO"), 'loss = "DPO": must be one of .*; did you mean dpo'),
    "origin": (lambda w, p: sim.make_world("quickstart", {"wrld.prompts": 8}), r"\(in make_world\(\)\)"),
    "method": (lambda w, p: sim.train(w, p, method="gibbs"), 'method = "gibbs": must be one of gpo, iterated, rl'),
    "method dpo": (
        lambda w, p: sim.train(w, p, method="ppo"),
        'method = "ppo": must be one of gpo, iterated, rl; it is rl here',
    ),
    "data": (
        lambda w, p: sim.train(w, p.chosen),
        r"data: must be Pairs, such as world.preferences\(1024, seed=0\), not",
    ),
    "rl": (lambda w, p: sim.train(w, p, method="rl"), r"data: must be a Proxy, such as train_proxy\(…\), not Pairs"),
    "proxy": (
        lambda w, p: sim.train(w, p, loss="rpo_squared", settings={"objective.rpo.reward": "proxy"}),
        r"proxy: these settings need a proxy",
    ),
    "rounds of another seed": (
        lambda w, p: sim.train(w, sim.train_proxy(w, p, seed=0), method="iterated", seed=1),
        "the proxy must have seed 1, not 0",
    ),
    "rounds of other pairs": (
        lambda w, p: sim.train(w, sim.train_proxy(w, own(p), seed=0), method="iterated", seed=0),
        "the proxy must have learned from these, and it learned from others",
    ),
    "ranked": (lambda w, p: sim.train(w, p, loss="rpo_loo"), r"compares 4 responses to a prompt, and the data has 2"),
    "raises": (lambda w, p: sim.train(w, p, loss=lambda z: z / "a"), r"loss = lambda: raises \(TypeError, line \d+"),
    "detached": (lambda w, p: sim.train(w, p, loss=lambda z: z.detach()), "loss = lambda: must let a gradient flow"),
    "arguments": (
        lambda w, p: sim.train(w, p, loss=lambda chosn, beta: chosn),
        "cannot be given chosn; did you mean chosen",
    ),
    "sizes": (
        lambda w, p: sim.train(w, [p, w.preferences(9)], seed=[0, 1]),
        "data: all must have as many pairs, not 8 and 9",
    ),
    "pairs": (lambda w, p: w.preferences(0), r"data.pairs = 0: must be .* \(in preferences\(\)\)"),
    "noise": (lambda w, p: w.preferences(8, label_noise=2.0), "data.label_noise = 2.0: must be"),
    "behaviour": (lambda w, p: w.preferences(8, behaviour="referense"), "did you mean reference"),
    "shape": (
        lambda w, p: sim.train(w, own(p, chosen=p.chosen[:, :2])),
        r"data.chosen: must have the shape \[8, 3\], not",
    ),
    "token": (
        lambda w, p: sim.train(w, own(p, chosen=p.chosen + 4)),
        "data.chosen: token ids must be from 0 to 3, not",
    ),
    "float": (
        lambda w, p: sim.train(w, own(p, chosen=p.chosen * 1.0)),
        "Pairs: chosen: must be token ids, whole numbers",
    ),
    "words": (lambda w, p: sim.train(w, own(p, chosen=["abc"])), "Pairs: chosen: must be token ids"),
    "empty": (lambda w, p: sim.train(w, own(p, prompts=p.prompts[:0])), "data: must have at least one pair"),
    "prompt": (
        lambda w, p: w.gold(absent(w), w.responses[None, :1]),
        r"prompts\[0\]: .* is no prompt of this world; see world.prompts",
    ),
    "measure": (lambda w, p: w.measure(3), "measure: must be given Policies, or a function"),
    "not a law": (
        lambda w, p: w.measure(lambda a, b: np.zeros(b.shape[:2])),
        r"responses to prompt 0 sum to 64, not 1",
    ),
    "per token": (
        lambda w, p: w.measure(lambda a, b: w.reference.log_prob(a, b)[0] / 3),
        "a sum over its tokens, in nats",
    ),
    "one number": (lambda w, p: w.measure(lambda a, b: 0.0), r"log-probabilities of the shape \[3, 64\]"),
    "nan": (lambda w, p: w.measure(lambda a, b: np.full(b.shape[:2], np.nan)), "at most 0, not nan"),
    "positive": (lambda w, p: w.measure(lambda a, b: np.ones(b.shape[:2])), "at most 0, not 1"),
    "text": (lambda w, p: w.measure(lambda a, b: "no"), "the function must give numbers, not str"),
    "oracle": (lambda w, p: w.oracle([1.0, -1.0]), "kl = -1.0: must be a number of nats of at least 0"),
    "count": (lambda w, p: w.reference.sample(w.prompts, 0), "count = 0: must be a whole number of at least 1"),
    "n": (
        lambda w, p: sim.best_of_n(w, sim.train_proxy(w, p, steps=2), [0]),
        "n = 0: must be a whole number of at least 1",
    ),
    "held out": (
        lambda w, p: sim.train_proxy(w, p, settings={"proxy.held_out": 0.0}),
        "leaves no held-out pair to choose the best checkpoint by",
    ),
    "world": (lambda w, p: sim.make_world("quikstart"), "did you mean quickstart"),
    "key": (lambda w, p: sim.make_world("quickstart", {"world.prompt": 3}), "did you mean world.prompts"),
    "value": (lambda w, p: sim.make_world("quickstart", {"world.prompts": "many"}), 'world.prompts = "many": must be'),
    "sweep": (lambda w, p: sim.make_world(3), "sweep = 3: must be a name, a path or a Sweep"),
    "device": (lambda w, p: sim.make_world("quickstart", device="tpu"), "tpu: must be one of auto, cpu, cuda"),
    "axis": (
        lambda w, p: sim.make_world(small_sweep(sweep={"gold.seed": [0, 1]})),
        "gold.seed: varies in this sweep, and a world has one value of it; say which",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_explained(name: str, world: sim.World, pairs: sim.Pairs) -> None:
    call, message = WRONG[name]
    with pytest.raises(sim.ConfigError, match=message) as told:
        call(world, pairs)
    assert len(str(told.value)) < 1200


def test_data_of_another_gold_is_told_of(world: sim.World, pairs: sim.Pairs) -> None:
    other = sim.make_world(small_sweep(gold={"seed": 5}))
    with pytest.warns(
        UserWarning, match=r"data: was labelled by another gold \(gold.seed = 5\) than that of the world it is"
    ):
        sim.train(world, other.preferences(8), steps=2)


def test_a_loss_that_pushes_margins_down_is_told_of(world: sim.World, pairs: sim.Pairs) -> None:
    with pytest.warns(
        UserWarning, match=r"loss lambda has f'\(0\) = \+1 where it starts: training first pushes margins"
    ):
        sim.train(world, pairs, loss=lambda z: z, steps=2)


def test_arrays_of_numpy_are_pairs(world: sim.World, pairs: sim.Pairs) -> None:
    arrays = {name: getattr(pairs, name).numpy() for name in ("prompts", "chosen", "rejected")}
    policies = sim.train(world, sim.Pairs(**arrays), steps=5)
    assert torch.equal(policies.parameters, sim.train(world, pairs, steps=5).parameters)


def test_policies_of_another_world_are_refused(world: sim.World, pairs: sim.Pairs) -> None:
    policies = sim.train(world, pairs, steps=2)
    other = sim.make_world(small_sweep(world={"seed": 2}))
    with pytest.raises(
        sim.ConfigError, match=r"from another reference than this world's; .* world.measure\(policies.log"
    ):
        other.measure(policies)
    assert other.measure(policies.log_prob)["kl"][0] > 0
    with pytest.raises(sim.ConfigError, match="are of another network"):
        sim.make_world(small_sweep(policy={"width": 16})).measure(policies)
