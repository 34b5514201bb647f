"""Where probability went: a policy's mass, log-ratios and gold, by what its pairs say of each response.

Every response to a prompt is in one part: `chosen` and `rejected` were that and nothing else in the run's pairs, `seen`
both, in different pairs; `unseen` and `ungrammatical` are in no pair, and the latter breaks the language's grammar. Of
each part, with means over prompts:

    mass            the probability that pi gives it
    reference_mass  the probability that pi_ref gives it
    logratio        E_ref[log pi - log pi_ref | part], nats
    gold            E_pi[gold | part]
    gold_change     sum over its responses of (pi - pi_ref) gold: what of E_pi gold comes from it

The reference has no gold on average, so `gold_change` of all parts adds up to the gold of the policy. Shapes: R runs, P
prompts, G responses, N pairs, K responses of a pair.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from simulator.measurement.listed_sums import PARTS, PartSums

SHOWN = ("chosen", "rejected", "seen", "unseen", "ungrammatical")  # parts, as people look at them
VALUES = ("mass", "reference_mass", "logratio", "gold", "gold_change")
PREFIX = "ledger."
UNSEEN, UNGRAMMATICAL, CHOSEN, REJECTED, SEEN = range(len(PARTS))


def places(prompt: Tensor, numbers: Tensor, shape: Sequence[int]) -> Tensor:
    """Where responses [R, N, K] of these numbers, to the prompts of rows [R, N], lie in [R, P, G] once flattened."""
    runs, prompts, responses = shape
    run = torch.arange(runs, device=prompt.device)[:, None]
    return ((run * prompts + prompt) * responses).unsqueeze(2) + numbers


def with_pairs(parts: Tensor, place: Tensor, weights: Tensor | None = None) -> Tensor:
    """The part of each response, uint8 [R, P, G], as its place in PARTS; written into `parts`.

    parts: UNGRAMMATICAL or UNSEEN for each. place [R, N, K]: of the responses of pairs, see `places`, chosen first and
    rejected last; those between are seen. weights [R, N, 2]: of pairs as they stand and exchanged, where they have any;
    both responses of a pair that counts in both orders are chosen and rejected.
    """
    flat = parts.view(-1)
    first, last = place[..., 0].flatten(), place[..., -1].flatten()
    chosen, rejected = first, last
    if weights is not None:
        stands, exchanged = (weights[..., order].flatten() > 0 for order in (0, 1))
        chosen, rejected = (torch.cat([a[stands], b[exchanged]]) for a, b in ((first, last), (last, first)))
    flat[chosen] = CHOSEN
    flat[rejected] = torch.where(flat[rejected] == CHOSEN, SEEN, REJECTED).to(torch.uint8)
    if place.shape[-1] > 2:
        flat[place[..., 1:-1].flatten()] = SEEN
    return parts


def ledger(sums: PartSums) -> dict[str, Tensor]:
    """Every value of every part, [R] each, by `ledger_name`. What a part without mass has on average is NaN."""
    mass, reference, gold, reference_gold, ratio = (
        value.mean(dim=1) for value in (sums.mass, sums.reference_mass, sums.gold, sums.reference_gold, sums.ratio)
    )
    values = (mass, reference, ratio / reference, gold / mass, gold - reference_gold)
    return {
        ledger_name(part, name): value[:, place]
        for name, value in zip(VALUES, values, strict=True)
        for place, part in enumerate(PARTS)
    }


def ledger_name(part: str, value: str) -> str:
    """The name under which a value of a part is measured."""
    return f"{PREFIX}{part}.{value}"


def is_logratio(name: str) -> bool:
    """Whether this is a mean log-ratio of the ledger, which is infinite where a policy never gives a response."""
    return name.startswith(PREFIX) and name.endswith(".logratio")


def without_ledger(measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What was measured beside the ledger."""
    return {name: value for name, value in measured.items() if not name.startswith(PREFIX)}


def ledger_rows(run_ids: Sequence[str], steps: Sequence[int], measured: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """The rows of `ledger.parquet` of the runs, from what was measured [C, R]; nothing where that has no ledger.

    Checkpoints at which a run's masses are not finite are left out.
    """
    if ledger_name(SHOWN[0], "mass") not in measured:
        return pd.DataFrame()
    columns = {
        name: np.stack([measured[ledger_name(part, name)].T for part in SHOWN], axis=-1).reshape(-1) for name in VALUES
    }
    shape = len(run_ids), len(steps), len(SHOWN)
    names = {
        "run_id": pd.array(list(run_ids), dtype="str").repeat(shape[1] * shape[2]),
        "step": np.tile(np.repeat(np.asarray(steps, dtype=np.int64), shape[2]), shape[0]),
        "part": pd.array(SHOWN, dtype="str").take(np.tile(np.arange(shape[2]), shape[0] * shape[1])),
    }
    table = pd.DataFrame(names | columns)
    return table[np.isfinite(columns["mass"])].reset_index(drop=True)
