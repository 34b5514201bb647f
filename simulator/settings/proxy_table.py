"""[proxy]: what is optimized in gold's place, trained or planted."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from simulator.measurement.ensemble import COMBINATIONS
from simulator.objectives import KNOWN_AS
from simulator.objectives.losses.gpo import LOSSES
from simulator.planted import ERROR_LAWS
from simulator.settings.table import Count, Positive, Width, choice, one_of
from simulator.settings.world_spec import Network

PLANTED_KEYS = ("error", "noise")  # of every planted proxy; laws have more
TRAINED_KEYS = (
    *("layers", "width", "heads", "loss", "held_out"),
    *("steps", "batch", "learning_rate", "weight_decay"),
)

LossName = Annotated[str, AfterValidator(one_of(LOSSES, known_as=KNOWN_AS)), choice(LOSSES)]  # of a reward model


Combination = Annotated[str, AfterValidator(one_of(COMBINATIONS)), choice(COMBINATIONS)]

ErrorName = Annotated[str, AfterValidator(one_of(ERROR_LAWS)), choice(ERROR_LAWS)]


class Proxy(Network):
    """[proxy]. Reward models that learn from gold's labels; or gold with an error of a chosen law (`kind`).

    Training (simulator/proxies/training.py) takes `steps` steps on `batch` pairs each; the best checkpoint on the
    `held_out` share of the pairs is kept. "auto" is a learning rate of 0.08 / width. `members` differ in their first
    parameters and the order of their batches alone; planted ones (simulator/proxies/planting.py) in their errors.
    """

    kind: Literal["trained", "planted"] = "trained"
    """"trained": networks that learn from pairs; "planted": gold + noise × error, which nothing is trained for."""
    error: ErrorName = "gaussian"
    """Law of a planted error: "gaussian", "student" (heavy tails), "correlated" with gold, "thin" (growing where the
    reference is thin), "length", or "blind_spot" (a motif that gold dislikes and the proxy does not see)."""
    noise: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    """Deviation of a planted error, in those of gold under the reference; of "blind_spot" its multiple: 1 hides all of
    what the motif costs."""
    degrees: Annotated[float, Field(ge=0.25, le=1e6)] = 3.0
    """Degrees of freedom of "student"; fewer mean heavier tails."""
    correlation: Annotated[float, Field(ge=-1, le=1)] = 0.5
    """Of the error "correlated" with gold under the reference."""
    growth: Annotated[float, Field(ge=0, le=2)] = 1.0
    """Of the error "thin", whose deviation goes as π_ref^(−growth/2)."""

    width: Width = 32
    """Channels; at the default sizes of the world, 4 means 250 parameters and 256 means 790,000."""
    loss: LossName = "logistic"
    """Any of the six f, at the difference of scores."""
    held_out: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the pairs that the best checkpoint is chosen by."""
    steps: Count = 1000
    """Of the optimizer."""
    batch: Count = 64
    """Pairs that each step learns from."""
    learning_rate: Positive | Literal["auto"] = "auto"
    """At its peak; "auto" takes 0.08 / width."""
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Of AdamW."""
    members: Annotated[int, Field(ge=1, le=100)] = 1
    """Of an ensemble."""
    combine: Combination = "mean"
    """What an ensemble says; "uncertainty_weighted" is mean − uncertainty × variance."""
    uncertainty: Annotated[float, Field(ge=0, le=1e6)] = 0.5
    """The factor of "uncertainty_weighted"."""

    @property
    def rate(self) -> float:
        """The peak learning rate."""
        return 0.08 / self.width if self.learning_rate == "auto" else self.learning_rate

    @property
    def planted(self) -> bool:
        """Whether it is gold with an error, and nothing is trained."""
        return self.kind == "planted"

    @property
    def unread(self) -> tuple[str, ...]:
        """The keys that say nothing to a proxy of this kind, and of this law."""
        of_laws = dict.fromkeys(key for law in ERROR_LAWS.values() for key in law.reads)
        if not self.planted:
            return ("kind", *PLANTED_KEYS, *of_laws)
        return (*TRAINED_KEYS, *(key for key in of_laws if key not in ERROR_LAWS[self.error].reads))
