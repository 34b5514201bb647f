"""The same training in JAX: one function of a row of parameters, compiled, over a stack of runs and over steps.

Shapes: R runs, D numbers of a row of parameters, N pairs, B pairs of a step, L prompt length, T response length,
S = L + T - 1 places, H heads of e channels.

`jit` of a `scan` over steps of a `vmap` over runs. Chosen and rejected responses are sequences of their own, as in
contenders/by_hand.py.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.contenders.cases import BETA, CLIP, LEARNING_RATE, Case
from simulator.engine.problem import TrainingProblem
from simulator.networks.architecture import Architecture

FIRST_DECAY, SECOND_DECAY, EPSILON = 0.9, 0.999, 1e-8

Array = Any
Advance = Callable[[Array, Array], tuple[Array, Array]]


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process on one core, since JAX starts threads of its own whatever it is told."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def weights_of(row: Array, architecture: Architecture) -> dict[str, Array]:
    """The named weights of a row [D]."""
    found, begin = {}, 0
    for name, shape in architecture.shapes.items():
        size = shape[0] * shape[1]
        found[name] = row[begin : begin + size].reshape(shape)
        begin += size
    return found


def normed(x: Array) -> Array:
    """A layer norm of the last axis, without gain or bias."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + 1e-5)


def log_probs(row: Array, sequences: Array, architecture: Architecture, prompt_length: int) -> Array:
    """log pi of the responses in sequences [N, L + T], in nats, [N]."""
    weights, heads = weights_of(row, architecture), architecture.heads
    tokens = sequences[:, :-1]
    places = tokens.shape[1]
    mask = jnp.tril(jnp.ones((places, places), dtype=bool))
    x = weights["token"][tokens] + weights["position"][:places]
    for layer in range(architecture.layers):
        split = (normed(x) @ weights[f"{layer}.attend"]).reshape(len(tokens), places, 3, heads, -1)
        query, key, value = (split[:, :, part] for part in range(3))
        scores = jnp.einsum("nqhe,nkhe->nhqk", query, key) * query.shape[-1] ** -0.5
        scores = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf), axis=-1)
        x = x + jnp.einsum("nhqk,nkhe->nqhe", scores, value).reshape(x.shape) @ weights[f"{layer}.merge"]
        x = x + jax.nn.relu(normed(x) @ weights[f"{layer}.up"]) @ weights[f"{layer}.down"]
    logits = jax.nn.log_softmax(normed(x[:, prompt_length - 1 :]) @ weights["unembed"], axis=-1)
    said = sequences[:, prompt_length:, None]
    return jnp.take_along_axis(logits, said, axis=2)[..., 0].sum(axis=1)


def loss(row: Array, sequences: Array, reference: Array, architecture: Architecture, prompt_length: int) -> Array:
    """The mean loss of DPO on pairs, sequences [B, 2, L + T] with log pi_ref [B, 2]."""
    flat = sequences.reshape(-1, sequences.shape[2])
    ratios = log_probs(row, flat, architecture, prompt_length).reshape(reference.shape) - reference
    return jax.nn.softplus(-BETA * (ratios[:, 0] - ratios[:, 1])).mean()


def trainer_of(case: Case, problem: TrainingProblem) -> Advance:
    """What takes the state of a stack, as `state_of` gives it, some steps on, by batches [steps, R, B] of its pairs."""
    prompts, responses = problem.prompts.numpy(), problem.responses.numpy()
    sequences = jnp.asarray(np.concatenate([np.repeat(prompts[:, :, None], 2, axis=2), responses], axis=3))
    reference = jnp.asarray(problem.reference_log_probs.numpy())
    architecture = case.architecture
    slope = jax.grad(loss)

    def step(row: Array, first: Array, second: Array, count: Array, texts: Array, known: Array, chosen: Array) -> Any:
        gradient = slope(row, texts[chosen], known[chosen], architecture, case.prompt_length)
        gradient = gradient * jnp.minimum(1.0, CLIP / (jnp.sqrt(jnp.square(gradient).sum()) + 1e-6))
        first = FIRST_DECAY * first + (1 - FIRST_DECAY) * gradient
        second = SECOND_DECAY * second + (1 - SECOND_DECAY) * jnp.square(gradient)
        spread = jnp.sqrt(second / (1 - SECOND_DECAY**count)) + EPSILON
        return row - LEARNING_RATE * first / (1 - FIRST_DECAY**count) / spread, first, second

    def steps(state: Array, batches: Array) -> tuple[Array, Array]:
        def one(at: Array, chosen: Array) -> tuple[Array, None]:
            rows, first, second, count = at
            count = count + 1
            several = jax.vmap(step, in_axes=(0, 0, 0, None, 0, 0, 0))
            rows, first, second = several(rows, first, second, count, sequences, reference, chosen)
            return (rows, first, second, count), None

        return lax.scan(one, state, batches)

    advance: Advance = jax.jit(steps)
    return advance


def state_of(row: np.ndarray, runs: int) -> Array:
    """The state that `runs` runs begin with, each at this row [D]."""
    rows = jnp.asarray(np.repeat(row[None], runs, axis=0))
    return rows, jnp.zeros_like(rows), jnp.zeros_like(rows), jnp.zeros((), dtype=jnp.float32)
