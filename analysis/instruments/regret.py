"""The regret ledger: how much gold each policy of a sweep falls short of the best at its KL, and what took it.

The parts are computed by the command `regret DIR`, which leaves `regret.parquet`; docs/explanation/regret.md derives
them. Here they are read, and averaged over seeds.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from analysis.headline.statement import amount, with_half
from analysis.records.checksums import digest_of
from analysis.records.load import ResultsError
from analysis.records.names import axis_label, loss_label, value_text
from analysis.statistics.intervals import Estimate, mean_of, over_seeds

FILE = "regret.parquet"
PARTS = ("labels", "loss", "policy_class", "optimizer")
OF_OPTIMIZER = ("optimizer_beta", "optimizer_steps", "optimizer_pairs")
FINEST = (*PARTS[:-1], *OF_OPTIMIZER)  # these sum to the total, too
TITLES = {
    "labels": "labels",
    "loss": "loss",
    "policy_class": "class",
    "optimizer_beta": "choice of β",
    "optimizer_steps": "steps",
    "optimizer_pairs": "pairs",
}
CAUSES = {
    "labels": "the limits of the labels",
    "loss": "the loss itself",
    "policy_class": "the class of policies",
    "optimizer_beta": "the choice of β",
    "optimizer_steps": "too few steps",
    "optimizer_pairs": "learning from these pairs again and again",
}
MET = 1.2  # of R-hat
NAMES = ("run_id", "seed", "kappa", "gold_family", "chains_spread")
MEASURED = ("kl", "gold", "oracle", "total", *PARTS, *OF_OPTIMIZER)
MADE_FROM = b"curves_sha256"  # in the file's metadata


def regret(folder: str | Path) -> pd.DataFrame:
    """The regret of a sweep's policies at the end of training, a row a run, in deviations of gold.

    `total` is the most gold that any policy of the same KL has, less the gold of this one: the sum of `labels` (what
    the pairs cannot tell of gold), `loss` (what the loss gives away, with labels without end and a policy that can be
    anything), `policy_class` (what policies of this kind cannot express) and `optimizer` (what training on these pairs
    left). Further columns say which run it is (`objective` is the loss), its `kl` and `gold`, and `oracle`, the most
    gold at that KL; `gold_family` says over which golds `labels` was averaged, and `chains_spread` how well (R-hat).

    Where `regret.parquet` is not there, or is of other curves, the command `regret DIR` makes it first; that takes
    about as long as the sweep. Raises ResultsError where no run can be split, and says why.
    """
    path = Path(folder) / FILE
    if not is_of_these_curves(path):
        make(Path(folder))
    return pd.read_parquet(path)


def is_of_these_curves(path: Path) -> bool:
    """Whether the file is there, and was made from the curves beside it."""
    try:
        made_from = (pq.read_schema(path).metadata or {}).get(MADE_FROM, b"").decode()
        return made_from == digest_of(path.with_name("curves.parquet"))
    except (OSError, ValueError):
        return False


def make(folder: Path) -> None:
    """Run the command. Raises ResultsError with what it says."""
    root = str(Path(__file__).resolve().parents[2])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))}
    done = subprocess.run(
        [sys.executable, "-c", "import run; raise SystemExit(run.main())", "regret", str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ResultsError(*[line.removeprefix("error: ") for line in lines[-5:]] or [f"{folder}: regret failed"])


def mean_regret(table: pd.DataFrame) -> pd.DataFrame:
    """The mean of total and parts over seeds, with intervals, for each loss, beta and value of further axes."""
    return over_seeds(table, axes_of(table), ["total", *PARTS, *OF_OPTIMIZER, "kl", "gold", "oracle"])


def axes_of(table: pd.DataFrame) -> list[str]:
    """The columns that say which policy it is, but for its seed: loss, beta, further axes."""
    return [name for name in table if name not in {*NAMES, *MEASURED}]


def overoptimization(table: pd.DataFrame) -> pd.DataFrame:
    """How much each part of regret grows from the beta with the most gold to the smallest one: a row a loss and part.

    `from_beta` is the beta of the most gold, on average over seeds. For a seed the other seeds choose it, so that no
    seed judges its own choice; where one is alone it does. Columns `growth` and `at_best` (the part at that beta), with
    _low and _high.
    """
    by = by_loss(table)
    rows = []
    for _, some in table.groupby(by, dropna=False, sort=False):
        if at_all_beta(some).empty:
            continue
        known = {**some.iloc[0][by], **ends_of_beta(some)}
        for part, values in grown(some).items():
            estimates = {"growth": mean_of(values["smallest"] - values["best"]), "at_best": mean_of(values["best"])}
            rows.append(known | {"part": part} | columns_of(estimates))
    return pd.DataFrame(rows)


def ends_of_beta(some: pd.DataFrame) -> dict[str, Any]:
    """The beta with the most gold, the smallest, and the number of seeds, of one loss."""
    gold = some.groupby("beta")["gold"].mean()
    return {"from_beta": gold.idxmax(), "to_beta": gold.index.min(), "seeds": len(some["seed"].unique())}


def at_all_beta(some: pd.DataFrame) -> pd.DataFrame:
    """Gold of one loss by seed and beta, of the seeds that have ended well at each beta."""
    return some.pivot_table(index="seed", columns="beta", values="gold").dropna()


def grown(some: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each part of one loss by seed: at the beta that the other seeds choose (`best`), and at the `smallest`."""
    gold = at_all_beta(some)
    alone = len(gold) == 1
    chosen = {seed: (gold if alone else gold.drop(index=seed)).mean().idxmax() for seed in gold.index}
    found = {}
    for part in (*FINEST, "total", "oracle"):
        values = some.pivot_table(index="seed", columns="beta", values=part).loc[gold.index]
        best = [values.loc[seed, beta] for seed, beta in chosen.items()]
        found[part] = pd.DataFrame({"best": best, "smallest": values[gold.columns.min()].to_numpy()}, index=gold.index)
    return found


def columns_of(estimates: Mapping[str, Estimate]) -> dict[str, float]:
    """Estimates with their intervals, as columns."""
    found: dict[str, float] = {}
    for name, estimate in estimates.items():
        low, high = estimate.interval()
        found |= {name: estimate.value, f"{name}_low": low, f"{name}_high": high}
    return found


def findings(table: pd.DataFrame) -> list[str]:
    """What a sweep's regret comes to, as a mean over its losses, in sentences for a page. Intervals are over seeds."""
    each = [
        grown(some)
        for _, some in table.groupby(by_loss(table), dropna=False, sort=False)
        if not at_all_beta(some).empty
    ]
    if not each:
        return ["No seed has ended well at every β."]
    mean = {part: sum(one[part] for one in each) / len(each) for part in each[0]}
    best = {part: mean_of(values["best"]) for part, values in mean.items()}
    growth = {part: mean_of(values["smallest"] - values["best"]) for part, values in mean.items()}
    largest, fastest = (max(FINEST, key=lambda part: values[part].value) for values in (best, growth))
    return [
        f"At the β with the most gold, policies fall {amount(best['total'])} deviations of gold short of the best one "
        f"of the same KL, {amount(best[largest])} of it because of {CAUSES[largest]}: {split_text(best)}.",
        f"From there to the smallest β this grows by {amount(growth['total'])}, most of all because of "
        f"{CAUSES[fastest]}: {split_text(growth)}.",
    ]


def by_loss(table: pd.DataFrame) -> list[str]:
    """The columns that say which loss it is, at which further setting."""
    return [name for name in axes_of(table) if name != "beta"]


def split_text(values: Mapping[str, Estimate]) -> str:
    """All parts with their intervals."""
    return ", ".join(f"{TITLES[part]} {amount(values[part])}" for part in FINEST)


def lines_of(table: pd.DataFrame) -> list[str]:
    """What a terminal shows of a table: means with halves of their intervals, and what grew."""
    means = mean_regret(table)
    shown = pd.DataFrame({name: means[name].map(value_text) for name in varying(means, axes_of(table))})
    for name, title in {"kl": "KL", "total": "regret", **TITLES}.items():
        halves = (means[f"{name}_high"] - means[f"{name}_low"]) / 2
        shown[title] = [with_half(value, half) for value, half in zip(means[name], halves, strict=True)]
    return ["", *shown.to_string(index=False).splitlines(), "", *sentences(table), *rough(table)]


def rough(table: pd.DataFrame) -> list[str]:
    """Says so where the chains that labels are averaged over have not met."""
    largest = float(table["chains_spread"].max())
    told = (
        f"what one can believe of gold is rough here: R-hat is up to {largest:.2f}, and chains have met below {MET:g}"
    )
    return [told] if largest > MET else []


def varying(table: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Those of the columns that have more than one value, and beta."""
    return [name for name in names if name == "beta" or len(table[name].unique()) > 1]


def sentences(table: pd.DataFrame) -> list[str]:
    """A sentence for each loss: what grew between the best beta and the smallest."""
    growth, said = overoptimization(table), []
    if growth.empty:
        return ["no seed has ended well at every beta"]
    by = by_loss(table)
    further = [name for name in varying(growth, [*by, "beta"]) if name not in {"beta", "objective"}]
    for _, rows in growth.groupby(by, dropna=False, sort=False):
        first, at = rows.iloc[0], rows.set_index("part")
        who = named(first, further)
        if first["from_beta"] == first["to_beta"]:
            said.append(f"{who}: gold is highest at the smallest beta, {first['to_beta']:g}: nothing is overoptimized")
            continue
        where = f"from beta {first['from_beta']:g} to {first['to_beta']:g}"
        parts = ", ".join(f"{TITLES[part]} {grown_text(at.loc[part])}" for part in FINEST)
        said.append(f"{who}: {where} regret grows by {grown_text(at.loc['total'])}: {parts}")
    return said


def named(row: pd.Series, further: Sequence[str]) -> str:
    """The loss of a row, and the values of further axes."""
    return ", ".join(
        [loss_label(row["objective"]), *(f"{axis_label(name)} {value_text(row[name])}" for name in further)]
    )


def grown_text(row: pd.Series) -> str:
    """A growth with half of its interval."""
    return with_half(row["growth"], (row["growth_high"] - row["growth_low"]) / 2)
