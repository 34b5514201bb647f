"""The rows of policies that were trained elsewhere: what users say of them, and where they are kept."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from simulator.common.errors import ConfigError, printable, short
from simulator.common.identity import digest
from simulator.measurement.columns import MEASURED
from simulator.storage.layout import ResultFolder
from simulator.storage.lock import writing_to
from simulator.storage.merge import with_external, write_final_checksums
from simulator.storage.tables import EXTERNAL, write_table

LONGEST = 80  # signs of a label
PLACE = ["label", "beta", "seed"]  # what policies of a sweep differ in


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is said of the policies of a call: one value for all of them, or one for each."""

    models: int
    label: Sequence[str] = ()
    beta: Sequence[float] = ()
    seed: Sequence[int] = ()

    def __post_init__(self) -> None:
        """Raises ConfigError where there are as many as neither, or a value will not do."""
        for name in ("label", "beta", "seed"):
            values = getattr(self, name)
            if len(values) not in (0, 1, self.models):
                raise ConfigError(
                    f"--{name}: has {len(values)} values for {self.models} models; give one for all, or one for each"
                )
        for label in self.label:
            if not label.strip() or len(label) > LONGEST or not label.isprintable():
                raise ConfigError(f"--label {short(label)}: must be 1 to {LONGEST} printable signs")
        for beta in self.beta:
            if not 0 < beta < 1e12:
                raise ConfigError(f"--beta {beta:g}: must be above 0")
        for seed in self.seed:
            if not 0 <= seed < 2**63:
                raise ConfigError(f"--seed {seed}: must be from 0 to {2**63 - 1}")

    def of(self, name: str, place: int) -> Any:
        """A value of the model at a place; None where nothing is said."""
        values = getattr(self, name)
        return None if not values else values[place if len(values) > 1 else 0]

    def row(
        self, place: int, number: int, measured: pd.DataFrame, known: pd.DataFrame | None, model: str, sha256: str
    ) -> dict[str, Any]:
        """The row of policy `number` of the model at a place. known: what its file says of its policies."""
        numbers = {name: measured[name][number] for name in measured if name in NUMBERS}
        saved = {} if known is None else dict(known.iloc[number])
        label = self.of("label", place) or printable(model.removesuffix(".safetensors"))[:LONGEST]
        if known is not None and len(known["loss"].unique()) > 1:
            label = f"{label} {saved['loss']}"
        beta, seed = (
            value if (value := self.of(name, place)) is not None else saved.get(name) for name in ("beta", "seed")
        )
        return {
            "method": EXTERNAL.name,
            "loss": label,
            "label": label,
            "beta": None if beta is None or pd.isna(beta) else float(beta),
            "seed": None if seed is None or pd.isna(seed) else int(seed),
            "step": int(saved.get("step") or 0),
            **numbers,
            "status": "ok",
            "model": printable(model),
            "model_sha256": sha256,
        }


def named(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """The rows with seeds where none were said, counted up at each label and beta, and with names.

    Raises ConfigError where two policies have the same label, beta and seed.
    """
    taken: set[tuple[Any, ...]] = set()
    for row in sorted(rows, key=lambda row: row["seed"] is None):  # those that say one come first
        place = row["label"], row["beta"]
        if row["seed"] is None:
            row["seed"] = next(seed for seed in itertools.count() if (*place, seed) not in taken)
        elif (*place, row["seed"]) in taken:
            beta = "without beta" if row["beta"] is None else f"at beta {row['beta']:g}"
            raise ConfigError(
                f"--seed {row['seed']}: two policies are called {short(row['label'])}, {beta}, with this seed; give "
                "each a label, beta or seed of its own"
            )
        taken.add((*place, row["seed"]))
        parts = ["external", "" if row["beta"] is None else f"{row['beta']:g}", str(row["seed"])]
        row["run_id"] = "-".join([*filter(None, parts), digest([*place, row["seed"], row["model_sha256"]])])
    return pd.DataFrame(rows).astype({"beta": "float64", "seed": "Int64"})


NUMBERS = {name for column in MEASURED for name in (column.name, f"{column.name}_se")}


def add_rows(folder: ResultFolder, rows: pd.DataFrame) -> None:
    """Add rows to the records of a sweep that has ended, in place of those of the same label, beta and seed.

    Raises ConfigError and StorageError.
    """
    with writing_to(folder, 0):
        before = pd.read_parquet(folder.external) if folder.external.exists() else rows.iloc[:0]
        places = [tuple(place) for place in rows[PLACE].astype(object).where(rows[PLACE].notna(), None).to_numpy()]
        theirs = before[PLACE].astype(object).where(before[PLACE].notna(), None).apply(tuple, axis=1)
        kept = before[~theirs.isin(places)] if len(before) else before
        table = pd.concat([kept, rows], ignore_index=True) if len(kept) else rows
        sums = {folder.external: write_table(table, folder.external)}
        curves = pd.read_parquet(folder.curves)
        curves = with_external(curves[curves["method"] != EXTERNAL.name], folder)
        sums[folder.curves] = write_table(curves, folder.curves)
        write_final_checksums(folder, sums)
