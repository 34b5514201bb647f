"""Keeps the policies of a stack as it trains: a file for each step at which they are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from simulator.common.atomic_files import hash_of_file
from simulator.engine.loop import PolicyLearner
from simulator.methods.algorithms.final_tables import finite
from simulator.settings.run import Run
from simulator.storage.layout import ResultFolder, stack_name
from simulator.storage.networks.policy_files import StoredPolicies, write_policies
from simulator.sweeps.kept_policies import Kept
from simulator.worlds.policy_classes.tilted import as_tilted
from simulator.worlds.protocol import World


@dataclass(frozen=True, kw_only=True)
class PolicyKeeper:
    """Called where a stack was measured; it writes before the state of the stack is saved, so that none is missing."""

    folder: ResultFolder
    stack: Sequence[Run]
    world: World
    kept: Kept

    def __call__(self, step: int, learner: PolicyLearner) -> None:
        """Keep the policies of all runs that have not diverged, where these are wanted. Raises StorageError."""
        if self.kept == "none" or (self.kept == "end" and step < self.stack[0].steps):
            return
        parameters, state = learner.state.parameters, learner.state
        alive = finite(parameters, state.diverged_at).nonzero()[0].tolist()
        if not alive:
            return
        table = pd.DataFrame([self.stack[place].columns() | {"step": step} for place in alive])
        stored = StoredPolicies(
            parameters=parameters[alive],
            architecture=self.world.architecture,
            prompt_length=self.world.prompts.shape[1],
            end=self.world.end,
            reference_sha256=self.world.facts["reference_sha256"],
            tilted=as_tilted(self.world.policy_class),
            table=table.astype({"loss": "str", "beta": "float64", "kappa": "float64"}),
        )
        write_policies(stored, self.folder.policies_at(stack_name(self.stack), step))

    def checksums(self) -> dict[Path, str]:
        """The SHA-256 of every file that was kept of the stack."""
        found = {path: hash_of_file(path) for path in self.folder.policies_of(stack_name(self.stack))}
        return {path: digest for path, digest in found.items() if digest}
