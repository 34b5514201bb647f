"""The reference policy: a small transformer trained by maximum likelihood on the world's language.

It learns from fresh samples of the language; training ends after a fixed number of steps with a cosine schedule.
Training is what takes longest in making a world, so the result is cached under the hash of all that made it, in a
folder that SIMULATOR_CACHE can name. The file has a checksum of the parameters: one that is damaged is not used. The
cache does not ask which device it was trained on: a sweep on another device finds the same reference there, and so the
same world.
"""

import json
import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch
from platformdirs import user_cache_path
from torch import Tensor

from simulator.common.atomic_files import write_atomically
from simulator.common.random_streams import random_stream
from simulator.engine.snapshots import fingerprint, read_state, state_bytes
from simulator.languages.language import Language, lengths
from simulator.networks.architecture import Architecture
from simulator.networks.optimizer import clipped_adam_step, learning_rate_factor, start_adam
from simulator.networks.packing import packing
from simulator.networks.parameters import initial_parameters
from simulator.networks.transformer import token_log_probs

logger = logging.getLogger(__name__)

VERSION = 5  # counts changes of the code below that change its result, so that no stale cache is read


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """`steps` Adam steps on `batch` fresh sentences each, with this peak learning rate, from streams of `seed`."""

    prompt_length: int
    steps: int
    batch: int
    learning_rate: float
    seed: int


def train_reference(language: Language, architecture: Architecture, recipe: Recipe, device: torch.device) -> Tensor:
    """Parameters [D], float32 on the CPU, trained on `device`."""
    steps, batch, prompt_length = recipe.steps, recipe.batch, recipe.prompt_length
    response_length = architecture.context - prompt_length + 1
    packed = packing(prompt_length=prompt_length, response_length=response_length, responses=1, device=device)
    parameters = (
        initial_parameters(architecture, random_stream(recipe.seed, "reference", "init")).unsqueeze(0).to(device)
    )
    state = start_adam(parameters)
    rng = random_stream(recipe.seed, "reference", "text")
    clip = torch.ones(1, 1, device=device)
    for step in range(1, steps + 1):
        drawn = language.draw_texts(count=batch, prompt_length=prompt_length, rng=rng)
        prompts, texts = (torch.from_numpy(tokens).to(device) for tokens in drawn)
        rows = parameters.detach().requires_grad_()
        with torch.enable_grad():
            log_probs = token_log_probs(rows, architecture, packed, prompts[None], texts[None, :, None])
            loss = -log_probs.mean() * (drawn[1].size / lengths(drawn[1]).sum())
        (gradient,) = torch.autograd.grad(loss, rows)
        factor = learning_rate_factor(step, steps=steps, warmup=steps // 20, schedule="cosine")
        rate = torch.full((1, 1), recipe.learning_rate * factor, device=device)
        clipped_adam_step(parameters, gradient, state, step=step, rate=rate, limit=clip, weight_decay=0.0)
    return parameters[0].cpu()


def cache_folder() -> Path:
    """Where trained references are kept between sweeps."""
    named = os.environ.get("SIMULATOR_CACHE")
    return Path(named) if named else user_cache_path("alignment-simulator")


def reference_key(language: Language, architecture: Architecture, recipe: Recipe) -> str:
    """What names a reference in the cache: 32 hexadecimal digits that follow from all that makes it."""
    made_by = {
        "version": VERSION,
        "torch": torch.__version__,
        "language": language.fingerprint,
        "architecture": architecture.shapes,
        **asdict(recipe),
    }
    return sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]


def reference_path(key: str) -> Path:
    """Where the cache keeps a reference."""
    return cache_folder() / f"reference-{key}.safetensors"


def cached_reference(language: Language, architecture: Architecture, recipe: Recipe, device: torch.device) -> Tensor:
    """`train_reference`, or its cached result [D] for the same language, architecture and recipe.

    A cache that cannot be read or written, or is damaged, costs time, never the result.
    """
    key = reference_key(language, architecture, recipe)
    path, of = reference_path(key), {"reference": key}
    if (row := read_cached(path, of, architecture.row)) is not None:
        return row
    parameters = train_reference(language, architecture, recipe, device)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, state_bytes({"parameters": parameters}, of))
    except OSError as error:
        logger.info("the reference could not be cached at %s: %s", path, error)
    return parameters


def read_cached(path: Path, of: Mapping[str, str], numbers: int) -> Tensor | None:
    """The parameters [numbers] in a cache file; None where there is none, or not as it was written, which is warned of.

    of: what the file must say that it holds.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    row = (read_state(content, of) or {}).get("parameters")
    if row is not None and row.shape == (numbers,) and row.dtype == torch.float32:
        return row
    warnings.warn(f"{path}: is damaged; the reference is trained again", UserWarning, stacklevel=2)
    return None


def reference_hash(parameters: Tensor) -> str:
    """The SHA-256 of a reference's parameters [D], to the last bit."""
    return fingerprint({"parameters": parameters.detach().cpu()})
