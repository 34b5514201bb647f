"""The reference policy: a small transformer trained by maximum likelihood on the world's language.

It learns from fresh samples of the language; training ends after a fixed number of steps with a cosine schedule.
Training is what takes longest in making a world, so the result is cached under the hash of all that made it, in a
folder that SIMULATOR_CACHE can name. The cache does not ask which device it was trained on: a sweep on another device
finds the same reference there, and so the same world.
"""

import io
import json
import logging
import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from platformdirs import user_cache_path
from torch import Tensor

from simulator.files import write_whole
from simulator.language import Language, lengths
from simulator.network import Architecture, initial_parameters, restack, unstack
from simulator.optimizer import adam_step, clip_rows, learning_rate_factor, start_adam
from simulator.packing import packing
from simulator.streams import stream
from simulator.transformer import response_log_probs

logger = logging.getLogger(__name__)

VERSION = 3  # counts changes of the code below that change its result, so that no stale cache is read


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
    parameters = initial_parameters(architecture, stream(recipe.seed, "reference", "init")).unsqueeze(0).to(device)
    state = start_adam(parameters)
    rng = stream(recipe.seed, "reference", "text")
    clip = torch.ones(1, 1, device=device)
    for step in range(1, steps + 1):
        drawn = language.draw_texts(count=batch, prompt_length=prompt_length, rng=rng)
        prompts, texts = (torch.from_numpy(tokens).to(device) for tokens in drawn)
        blocks = {name: view.detach().requires_grad_() for name, view in unstack(parameters, architecture).items()}
        with torch.enable_grad():
            log_probs = response_log_probs(blocks, architecture, packed, prompts[None], texts[None, :, None])
            loss = -log_probs.mean() * (drawn[1].size / lengths(drawn[1]).sum())
        gradients = torch.autograd.grad(loss, list(blocks.values()))
        gradient = restack(dict(zip(blocks, gradients, strict=True)), architecture)
        factor = learning_rate_factor(step, steps=steps, warmup=steps // 20, schedule="cosine")
        rate = torch.full((1, 1), recipe.learning_rate * factor, device=device)
        adam_step(parameters, clip_rows(gradient, clip), state, step=step, rate=rate, weight_decay=0.0)
    return parameters[0].cpu()


def cache_folder() -> Path:
    """Where trained references are kept between sweeps."""
    named = os.environ.get("SIMULATOR_CACHE")
    return Path(named) if named else user_cache_path("alignment-simulator")


def cached_reference(language: Language, architecture: Architecture, recipe: Recipe, device: torch.device) -> Tensor:
    """`train_reference`, or its cached result [D] for the same language, architecture and recipe.

    A cache that cannot be read or written costs time, never the result.
    """
    made_by = {
        "version": VERSION,
        "torch": torch.__version__,
        "language": language.fingerprint,
        "architecture": architecture.shapes,
        **asdict(recipe),
    }
    key = sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:32]
    path = cache_folder() / f"reference-{key}.npy"
    try:
        row = np.load(path, allow_pickle=False)
        if row.shape == (architecture.row,) and row.dtype == np.float32 and np.isfinite(row).all():
            return torch.from_numpy(row)
    except (OSError, ValueError, EOFError):
        pass
    parameters = train_reference(language, architecture, recipe, device)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        np.save(content, parameters.numpy(), allow_pickle=False)
        write_whole(path, content.getvalue())
    except OSError as error:
        logger.info("the reference could not be cached at %s: %s", path, error)
    return parameters
