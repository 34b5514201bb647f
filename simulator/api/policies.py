"""Trained policies: what they say, and how they are kept.

Shapes: R policies, D numbers of one, P prompts, L prompt length, M responses to each, T response length.

How they are written stands in simulator/storage/networks/policy_files.py.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import pandas as pd
import torch
from torch import Tensor

from simulator.api.arguments import count_of, plain, rows_among, seed_of, tokens_of
from simulator.common.errors import SHOWN, ConfigError
from simulator.networks.architecture import Architecture
from simulator.networks.compute_mode import one_thread
from simulator.networks.sampling import sample_blocks
from simulator.networks.token_log_probs import MAX_FLOATS, floats_per_prompt, response_log_probs
from simulator.storage.networks.policy_files import StoredPolicies, read_policy_file, write_policies
from simulator.worlds.policy_classes.tilted import Tilted, are_one_class, as_tilted
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True, eq=False)
class Policies:
    """One policy or several of one architecture, as rows of parameters. `policies[0]` is the first of them alone."""

    parameters: Tensor = field(repr=False)
    """Float32 [R, D]; see simulator/networks/parameters.py for how weights lie in a row."""
    architecture: Architecture
    """The sizes of the network; that of the reference, where `tilted` says what policies are."""
    prompt_length: int
    """L."""
    end: int | None
    """The token that ends a response; None where every response has T tokens."""
    table: pd.DataFrame
    """What each policy is, a row each: `run_id`, `method`, `loss`, `beta`, `seed`, `step` and so on."""
    reference_sha256: str
    """The SHA-256 of the reference that they were trained from."""
    tilted: Tilted | None = field(default=None, repr=False)
    """The class of policies that are no transformers (`policy.kind`): what their parameters tilt."""
    curves: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    """What was measured along their training, with the columns of `curves.parquet`; empty for loaded policies."""

    def __repr__(self) -> str:
        """What the first few are."""
        names = [str(name) for name in self.table["run_id"][:SHOWN]]
        more = [f"and {len(self) - SHOWN} more"] if len(self) > SHOWN else []
        return f"Policies({', '.join([*names, *more])})"

    def __len__(self) -> int:
        """R."""
        return len(self.parameters)

    def __getitem__(self, which: int | slice) -> Self:
        """One of the policies, or some, as Policies. Raises IndexError."""
        chosen = plain(which)
        rows = range(len(self))[chosen] if isinstance(chosen, slice) else [range(len(self))[chosen]]
        table = self.table.iloc[list(rows)].reset_index(drop=True)
        curves = self.curves[self.curves["run_id"].isin(table["run_id"])] if len(self.curves) else self.curves
        return replace(self, parameters=self.parameters[list(rows)], table=table, curves=curves.reset_index(drop=True))

    @property
    def response_length(self) -> int:
        """T."""
        return self.architecture.context - self.prompt_length + 1

    def log_prob(self, prompts: Any, responses: Any) -> Tensor:
        """log pi(response | prompt) in nats, float64 [R, P, M].

        prompts: token ids [P, L]. responses: token ids [P, M, T]; -1 in every place behind the end, where responses may
        end early. Policies that are no transformers know the prompts of their world alone. Raises ConfigError.
        """
        device, vocabulary = self.parameters.device, self.architecture.vocabulary
        asked = tokens_of(prompts, "prompts", ("P", self.prompt_length), vocabulary).to(device)
        shape = (len(asked), "M", self.response_length)
        given = tokens_of(responses, "responses", shape, vocabulary, end=self.end).to(device)
        several, same = asked.expand(len(self), -1, -1), given.expand(len(self), -1, -1, -1)
        if self.tilted is not None:
            rows = rows_among(asked, self.tilted.prompts, "prompts").expand(len(self), -1)
            with one_thread(), torch.no_grad():
                return self.tilted.log_probs(self.parameters, rows, same)
        with one_thread(), torch.no_grad():
            return response_log_probs(self.parameters, self.architecture, several, same)

    def sample(self, prompts: Any, count: int = 1, *, seed: int = 0) -> Tensor:
        """`count` responses of each policy to each prompt, int64 [R, P, count, T]; -1 in every place behind the end.

        prompts: token ids [P, L]. All policies draw with the same random numbers, which follow from the seed. Raises
        ConfigError.
        """
        vocabulary = self.architecture.vocabulary
        asked = tokens_of(prompts, "prompts", ("P", self.prompt_length), vocabulary).to(self.parameters.device)
        stream, many = seed_of(seed), count_of(count, "count")
        if self.tilted is not None:
            rows = rows_among(asked, self.tilted.prompts, "prompts").expand(len(self), -1)
            seeds = [stream] * len(self)
            with one_thread(), torch.no_grad():
                return self.tilted.draw(self.parameters, rows, seeds=seeds, responses=many, purpose=("sample",))
        with one_thread(), torch.no_grad():
            drawn = [
                sample_blocks(
                    self.parameters[row : row + 1],
                    self.architecture,
                    asked,
                    temperature=torch.ones(len(asked), many, device=asked.device),
                    length=self.response_length,
                    end=self.end,
                    seed=stream,
                    purpose="sample",
                    at_once=MAX_FLOATS // floats_per_prompt(self.architecture, self.prompt_length),
                )
                for row in range(len(self))
            ]
        return torch.stack(drawn)

    def save(self, path: str | Path) -> None:
        """Write the policies to one file of safetensors, whole or not at all; `curves` are not in it.

        Raises StorageError where the disk does not take it.
        """
        stored = StoredPolicies(
            parameters=self.parameters,
            architecture=self.architecture,
            prompt_length=self.prompt_length,
            end=self.end,
            reference_sha256=self.reference_sha256,
            table=self.table,
            tilted=self.tilted,
        )
        write_policies(stored, Path(path))


def check_class(policies: Policies, world: World) -> None:
    """Raises ConfigError where policies are of another class than those of a world."""
    if not are_one_class(as_tilted(world.policy_class), policies.tilted):
        raise ConfigError(
            "policies: are of another class than this world's, or tilt another law (policy.kind, policy.features); to "
            "measure them here all the same, give their probabilities: world.measure(policies.log_prob)"
        )


def policies_of(stored: StoredPolicies, curves: pd.DataFrame | None = None) -> Policies:
    """The policies of a file, with what was measured along their training, where that is known."""
    return Policies(**vars(stored), curves=pd.DataFrame() if curves is None else curves)


def read_policies(path: Path) -> Policies:
    """The policies in a file that `Policies.save` or a sweep wrote. Raises ConfigError."""
    return policies_of(read_policy_file(path))
