"""The three sizes that everything is measured at, and what is trained on there.

Shapes: R runs, N pairs of one run, B pairs of one step, L prompt length, T response length, V vocabulary, D numbers of
one run's row of parameters.

Tokens are uniform and parameters fresh: what a step costs does not depend on what is said.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from simulator.common.random_streams import random_stream
from simulator.engine.problem import Schedule, TrainingProblem
from simulator.networks.architecture import Architecture
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.token_log_probs import response_log_probs
from simulator.objectives import OBJECTIVES
from simulator.objectives.stacked_losses import ObjectiveSlice

HEAD_WIDTH = 16
BETA, LEARNING_RATE, CLIP = 0.1, 3e-4, 1.0

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Case:
    """One size. A sequence has prompt_length + response_length tokens; batch: B; pairs: N of each run."""

    name: str
    vocabulary: int
    layers: int
    width: int
    prompt_length: int
    response_length: int
    batch: int
    pairs: int = 1024

    @property
    def heads(self) -> int:
        """H."""
        return max(1, self.width // HEAD_WIDTH)

    @property
    def length(self) -> int:
        """L + T."""
        return self.prompt_length + self.response_length

    @property
    def architecture(self) -> Architecture:
        """The network, which reads all tokens of a sequence but the last."""
        return Architecture(
            vocabulary=self.vocabulary,
            context=self.length - 1,
            layers=self.layers,
            width=self.width,
            heads=self.heads,
        )

    @property
    def sizes(self) -> str:
        """The sizes in words."""
        return (
            f"vocabulary {self.vocabulary}, {self.layers} layer{'s' * (self.layers > 1)}, width {self.width}, "
            f"{self.prompt_length} + {self.response_length} tokens, {self.batch} pairs a step"
        )

    @property
    def told(self) -> str:
        """The name, and the sizes in words."""
        return f"{self.name}: {self.sizes}"


V64 = Case(name="V64", vocabulary=64, layers=2, width=64, prompt_length=8, response_length=16, batch=64)
V32 = Case(name="V32", vocabulary=32, layers=1, width=32, prompt_length=4, response_length=8, batch=32)
V16 = Case(name="V16", vocabulary=16, layers=1, width=16, prompt_length=3, response_length=5, batch=16)
CASES = {case.name: case for case in (V64, V32, V16)}


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Labelled pairs of one run: prompts [N, L], responses [N, 2, T], chosen first, token ids."""

    prompts: Array
    responses: Array


def reference_of(case: Case) -> Tensor:
    """The parameters that every run starts from, [D]."""
    return initial_parameters(case.architecture, random_stream(0, "benchmark", "reference"))


def pairs_of(case: Case, seed: int) -> Pairs:
    """The pairs of the run with this seed."""
    rng = random_stream(seed, "benchmark", "pairs")
    return Pairs(
        prompts=rng.integers(case.vocabulary, size=(case.pairs, case.prompt_length)),
        responses=rng.integers(case.vocabulary, size=(case.pairs, 2, case.response_length)),
    )


def reference_log_probs(case: Case, reference: Tensor, prompts: Tensor, responses: Tensor) -> Tensor:
    """log pi_ref of responses [N, 2, T] to prompts [N, L], in nats, float32 [N, 2]."""
    with torch.no_grad():
        return response_log_probs(reference[None], case.architecture, prompts[None], responses[None])[0].float()


def problem_of(
    case: Case, pairs: Sequence[Pairs], reference: Tensor, seeds: Sequence[int], steps: int = 10_000
) -> TrainingProblem:
    """What runs with these pairs and seeds train on, by the logistic loss, on the device of `reference` [D]."""
    device, runs = reference.device, len(pairs)
    prompts = torch.from_numpy(np.stack([each.prompts for each in pairs])).to(device)
    responses = torch.from_numpy(np.stack([each.responses for each in pairs])).to(device)
    log_probs = [reference_log_probs(case, reference, *each) for each in zip(prompts, responses, strict=True)]

    def per_run(value: float) -> Tensor:
        return torch.full((runs, 1), value, device=device)

    return TrainingProblem(
        architecture=case.architecture,
        packing=packing(
            prompt_length=case.prompt_length, response_length=case.response_length, responses=2, device=device
        ),
        prompts=prompts,
        responses=responses,
        reference_log_probs=torch.stack(log_probs),
        parts=(ObjectiveSlice(objective=OBJECTIVES["logistic"], rows=runs, hyperparameters={}),),
        beta=per_run(BETA),
        learning_rate=per_run(LEARNING_RATE),
        clip=per_run(CLIP),
        weight_decay=0.0,
        schedule=Schedule(steps=steps, warmup=0, kind="constant"),
        batch=case.batch,
        batch_seeds=tuple(seeds),
    )


def kept(case: Case, runs: int) -> dict[str, Tensor]:
    """The reference's parameters and the pairs of runs with the seeds 0, 1, …, to be saved for other processes."""
    pairs = [pairs_of(case, seed) for seed in range(runs)]
    return {
        "reference": reference_of(case),
        "prompts": torch.from_numpy(np.stack([each.prompts for each in pairs])),
        "responses": torch.from_numpy(np.stack([each.responses for each in pairs])),
    }


def found(path: Path, rows: range) -> tuple[Tensor, list[Pairs]]:
    """Of what `kept` gave and was saved at `path`: the reference's parameters, and the pairs of some runs."""
    with safe_open(path, "np") as file:
        some = slice(rows.start, rows.stop)
        prompts, responses = (file.get_slice(name)[some] for name in ("prompts", "responses"))
        reference = torch.from_numpy(file.get_tensor("reference"))
    return reference, [Pairs(prompts=p, responses=r) for p, r in zip(prompts, responses, strict=True)]


def posed(case: Case, runs: int, device: torch.device | None = None) -> tuple[Tensor, TrainingProblem]:
    """The reference's parameters [D], and what `runs` runs with the seeds 0, 1, … train on."""
    reference, seeds = reference_of(case).to(device or "cpu"), range(runs)
    return reference, problem_of(case, [pairs_of(case, seed) for seed in seeds], reference, seeds)
