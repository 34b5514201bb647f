"""Reading a result directory, of a sweep that ended or still runs, as tables.

One row of `curves` is one run at one checkpoint, and every setting that varies stands in it; which columns are settings
is told in analysis/records/about.py.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.records.about import additions_in, methods_where, runs_of_sweep, settings_of
from analysis.records.safe_names import printable

SIDE_TABLES = {
    "runs": ("run_id", "status"),
    "responses": ("run_id", "prompt", "response", "probability", "reference", "gold", "proxy"),
    "gold_law": ("run_id", "gold", "probability", "reference"),
    "margins": ("run_id", "gap", "margin", "pairs"),
    "ledger": ("run_id", "step", "part", "mass", "reference_mass", "logratio", "gold", "gold_change"),
    "pairs": ("run_id", "pair", "ches", "displacement_rate", "chosen_logratio"),
}
REQUIRED = ("run_id", "method", "loss", "beta", "seed", "step", "kl", "gold", "status")


ORIGIN_COLUMNS = (
    "results_source",
    "reference_sha256",
)  # columns of runs and proxies: by which code, with which reference
OPTIONAL = ("kappa", "pairs", "label_noise", "mu_squared")  # columns that the oldest layout may lack


class ResultsError(ValueError):
    """A result directory cannot be read; its lines say which file and why, and do nothing to a terminal."""

    exit_code = 2  # of the command line

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(map(printable, lines)))


class UnwritableError(ResultsError):
    """A file cannot be written; the text says which, why, and what to do."""

    exit_code = 1


def is_finished(folder: str | Path) -> bool:
    """Whether the sweep of a result directory has ended."""
    return (Path(folder) / "curves.parquet").exists()


def expected_runs(folder: str | Path) -> int:
    """How many runs a sweep that has not ended will have; 0 where nothing says so."""
    try:
        return int(json.loads((Path(folder) / "running.json").read_bytes())["runs"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def failures(folder: str | Path) -> pd.DataFrame:
    """The runs of a sweep that has ended which could not be finished: run_id and reason. Raises ResultsError."""
    path = Path(folder) / "runs.parquet"
    if not path.exists():
        return pd.DataFrame({"run_id": [], "reason": []}, dtype="str")
    runs = _read([path], needed=("run_id", "status"))
    if "reason" not in runs:  # an earlier version has none, and no run that failed
        return runs.loc[[], ["run_id"]].assign(reason="")
    return runs.loc[runs["status"] == "failed", ["run_id", "reason"]]


def mixed_code_note(folder: str | Path) -> str:
    """A sentence on runs that different code made, which --accept-source allows; nothing where one code made all.

    Raises ResultsError.
    """
    runs = load_table(folder, "runs")
    if "results_source" not in runs:
        return ""
    counts = runs["results_source"].dropna().value_counts(sort=False)
    parts = [f"{count:,} runs by {source}" for source, count in counts.items()]
    return f"different code made these runs, and their numbers may differ for it: {', '.join(parts)}" * (len(parts) > 1)


def origin_hashes(folder: str | Path) -> dict[str, str]:
    """The code and the references that made the runs of a result directory, as hashes. Raises ResultsError."""
    runs = load_table(folder, "runs")
    known = {name: runs[name].dropna().unique() for name in ORIGIN_COLUMNS if name in runs}
    return {name: ", ".join(map(str, values)) for name, values in known.items() if len(values)}


def load(folder: str | Path) -> pd.DataFrame:
    """The curves of a sweep: `curves.parquet` or, while it runs, what is finished of it. Raises ResultsError.

    Columns of OPTIONAL that an older layout lacks are empty.
    """
    path = Path(folder)
    try:
        if path.is_file():
            raise ResultsError(f"{path}: is a file; name the result directory that holds it")
        if is_finished(path):
            return with_attributes(_read([path / "curves.parquet"]), path)
        parts = _finished_parts(path / "parts", "curves")
    except OSError as error:
        raise ResultsError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not any(part.name != "oracle.curves.parquet" for part in parts):
        if (path / "parts").is_dir():
            raise ResultsError(f"{path}: holds no finished run yet; the first come when their stack is done")
        raise ResultsError(
            f"{path}: is no result directory; it should have curves.parquet, which `python run.py sweep` writes"
        )
    curves = _read(parts).sort_values(["loss", "beta", "seed", "step"], kind="stable", ignore_index=True)
    return with_attributes(curves, path)


def with_attributes(curves: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The curves, which know what their sweep has beyond this version."""
    curves.attrs.update(additions_in(folder))
    return curves


def load_table(folder: str | Path, kind: str, run_ids: Sequence[str] | None = None) -> pd.DataFrame:
    """A table of SIDE_TABLES, or while a sweep runs what is finished of it; no rows where there is none.

    run_ids: of the rows that are wanted, all unless given. Raises ResultsError where a file is no such table.
    """
    whole, parts = Path(folder) / f"{kind}.parquet", Path(folder) / "parts"
    paths = [whole] if whole.exists() else _finished_parts(parts, kind)
    tables = []
    for path in paths:
        table = _read([path], needed=(), run_ids=run_ids)
        if len(table):
            tables.append(table)
        missing = [name for name in SIDE_TABLES[kind] if name not in table]
        if missing and len(table):
            raise ResultsError(f"{path}: lacks the column {missing[0]}, so it is no table of this simulator")
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(SIDE_TABLES[kind]))


def load_proxies(folder: str | Path) -> pd.DataFrame:
    """The proxy reward models of a sweep: what they are, and how well they know gold. Raises ResultsError."""
    path = Path(folder) / "proxies.parquet"
    if not Path(folder).is_dir():
        raise ResultsError(f"{folder}: is no result directory")
    if not path.exists():
        raise ResultsError(f"{path}: is missing; this sweep has no proxies, or none yet")
    return _read([path], needed=("proxy", "parameters", "held_out_loss", "correlation"))


def load_losses(folder: str | Path) -> pd.DataFrame:
    """The losses of a sweep as functions: loss, kappa, z, f, slope. Raises ResultsError."""
    path = Path(folder) / "losses.parquet"
    if not path.exists():
        raise ResultsError(f"{path}: is missing; run the sweep again to have it written")
    return _read([path], needed=("loss", "kappa", "z", "f", "slope"))


def _finished_parts(parts: Path, kind: str) -> list[Path]:
    """The tables of a kind of the stacks that have finished, and the oracle's; all, where there are no checksums."""
    paths, seals = sorted(parts.glob(f"*.{kind}.parquet")), {path.name.split(".")[0] for path in parts.glob("*.sha256")}
    return [path for path in paths if not seals or path.name.split(".")[0] in {"oracle", *seals}]


def _read(
    paths: Iterable[Path], needed: Iterable[str] = REQUIRED, run_ids: Sequence[str] | None = None
) -> pd.DataFrame:
    wanted = None if run_ids is None else [("run_id", "in", list(run_ids))]
    tables = []
    for path in paths:
        try:
            table = pd.read_parquet(path, page_checksum_verification=True, filters=wanted)
        except Exception as error:  # a damaged file may raise anything
            why = (str(error).splitlines() or [type(error).__name__])[0]
            raise ResultsError(f"{path}: cannot be read as Parquet ({why})") from None
        missing = [name for name in needed if name not in table]
        if missing:
            raise ResultsError(f"{path}: lacks the column {missing[0]}, so it is no table of this simulator")
        later = [name for name in OPTIONAL if needed is REQUIRED and name not in table]
        tables.append(table.assign(**dict.fromkeys(later, float("nan"))))
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def require_curves(curves: pd.DataFrame) -> None:
    """Raises ResultsError where this is no table with the columns of curves."""
    if not isinstance(curves, pd.DataFrame):
        raise ResultsError(
            f"curves (={type(curves).__name__}): must be the table that load(DIR) returns; call load on a folder first"
        )
    missing = [name for name in REQUIRED if name not in curves]
    if missing:
        raise ResultsError(
            f"curves: lack the column {missing[0]}; take the table that load(DIR) returns, with columns that are "
            "neither dropped nor renamed"
        )


def trained_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of trained runs that have numbers: no oracle, and nothing from where a run diverged on."""
    return curves[_trained(curves)]


def oracle_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The oracle frontier, by rising KL."""
    return curves[curves["method"] == "oracle"].sort_values("kl")


def _trained(curves: pd.DataFrame) -> pd.Series:
    return (curves["method"] != "oracle") & (curves["status"] == "ok")


def _undiverged(curves: pd.DataFrame) -> pd.Series:
    """Which rows `without_diverged` keeps; found before any row is copied, since a table may be large."""
    lost = curves.loc[curves["status"] == "diverged", "run_id"]
    return _trained(curves) & ~curves["run_id"].isin(lost) if len(lost) else _trained(curves)


def without_diverged(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of all runs that did not diverge."""
    return curves[_undiverged(curves)]


def final_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The last checkpoint of every run that did not diverge."""
    run = pd.factorize(curves["run_id"])[0]
    there = _undiverged(curves).fillna(False).to_numpy(bool) & (run >= 0)
    step = curves["step"].where(there)
    return curves[(step == step.groupby(run).transform("max")).fillna(False).to_numpy(bool)]


def has_finished_run(folder: Path) -> bool:
    """Whether some run of a result directory came to its end. Raises ResultsError."""
    return not final_rows(load(folder)).empty


def tradeoff_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows that a trade-off consists of: ends of offline training; against proxies, whole paths.

    Those are all n of best-of-n, all tau of Gibbs, and the checkpoints of reinforcement learning at its smallest
    penalty, as far as each goes on from the reference; and so are the checkpoints of losses that have no beta.
    """
    paths = methods_where(curves, "trajectory")
    along = curves["method"].isin(paths) | (curves["method"].eq("gpo") & curves["beta"].isna())
    path = curves[_undiverged(curves) & along]
    if (path["method"] == "rl").any():
        least = path.loc[path["method"] == "rl", "beta"].min()
        path = path[(path["method"] != "rl") | (path["beta"] == least)]
    path = path.sort_values("step", kind="stable")
    farther = path["kl"] >= path.groupby("run_id")["kl"].cummax()
    last = final_rows(curves)
    return pd.concat([last[~last["run_id"].isin(path["run_id"]) & ~last["method"].isin(paths)], path[farther]])


def pairwise_rows(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of training on pairs, with the oracles, and without the settings that say nothing there.

    Losses are told apart by the settings that only some of them have; see `variants`.
    """
    kept = curves["method"].isin(["gpo", "oracle"])
    rows = curves if kept.all() else curves[kept]
    return variants(rows.drop(columns=[name for name in further_axes(curves) if rows[name].isna().all()]))


def variants(curves: pd.DataFrame) -> pd.DataFrame:
    """The curves with settings that only some losses have, such as vpo_alpha, in the name of the loss: vpo, alpha 0.1.

    These settings are no columns any more, so that each variant of a loss stands beside the others as a loss of its
    own. Raises ResultsError for what is no table of curves.
    """
    require_curves(curves)
    axes = further_axes(curves)
    if not axes:
        return curves
    runs = curves.loc[_trained(curves) & (curves["method"] == "gpo"), ["loss", *axes]]
    has = runs.groupby("loss")[axes].count() > 0
    some = [name for name in has if has[name].any() and not has[name].all()]
    if not some:
        return curves
    named = [_variant(dict(row)) for row in curves[["loss", *some]].to_dict("records")]
    return curves.assign(loss=pd.Series(named, index=curves.index, dtype=curves["loss"].dtype)).drop(columns=some)


def _variant(row: dict[str, Any]) -> Any:
    """The name of a loss with the settings that it has of those in the row."""
    loss = row.pop("loss")
    settings = []
    for name, value in row.items():
        if not pd.isna(loss) and not pd.isna(value):
            shown = f"{value:g}" if isinstance(value, float) else value
            settings.append(f"{name.removeprefix(f'{loss}_').replace('_', ' ')} {shown}")
    return ", ".join([loss, *settings]) if settings else loss


def further_axes(curves: pd.DataFrame) -> list[str]:
    """Settings other than loss, beta and seed that vary over the trained runs."""
    names = [name for name in settings_of(curves) if name not in ("method", "loss", "beta", "kappa", "seed")]
    runs = runs_of_sweep(curves[["method", *names]])
    return [name for name in names if len(runs[name].unique()) > 1]
