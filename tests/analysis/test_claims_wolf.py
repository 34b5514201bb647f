"""Claims on rounds of RLHF on records that were made to satisfy or to violate them, or leave them open."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import PAPERS
from analysis.published.papers.wolf import AXES, BEST, PUBLISHED
from simulator import Sweep
from simulator.sweeps.grid import expand
from tests.helpers.planted_records import claim_of, note_of, records_of, verdict_of, verdicts
from tests.helpers.wolf_records import of_rounds

PROXY = (2.0, 2.4, 2.5, 2.6)
AS_PUBLISHED = {  # gold at the end of each round
    "concatenate": (1.0, 1.8, 2.1, 2.2),
    "take last": (1.0, 1.3, 1.4, 1.5),
    "ensemble": (1.0, 1.2, 1.3, 1.4),
    "average weights": (1.0, 1.1, 1.2, 1.3),
    "worst case": (1.0, 1.1, 1.1, 1.2),
    "sample": (1.0, 1.3, 1.4, 1.6),
    "interpolate": (0.4, 0.7, 0.8, 0.9),
    "last policy": (0.9, 0.8, 0.7, 0.6),
}
OPPOSITE = {
    "concatenate": (1.5, 1.3, 1.1, 1.0),
    "take last": (1.0, 1.3, 1.4, 1.5),
    "ensemble": (1.0, 1.5, 1.8, 2.0),
    "average weights": (1.0, 1.5, 1.8, 2.2),
    "worst case": (1.0, 1.5, 1.8, 2.4),
    "sample": (1.0, 1.3, 1.4, 1.6),
    "interpolate": (2.5, 2.3, 2.2, 2.0),
    "last policy": (0.9, 1.4, 2.2, 3.0),
}
LEVEL = dict.fromkeys(AS_PUBLISHED, (1.0, 1.0, 1.0, 1.0))
STEADY_PROXY = (2.0, 2.0, 2.0, 2.0)
OPPOSITE_PROXY = (1.2, 1.5, 1.8, 2.5)


def test_made_records_have_the_designs_of_the_sweep(tmp_path: Path) -> None:
    curves = pd.read_parquet(of_rounds(tmp_path / "made", LEVEL.get) / "curves.parquet")
    shipped = pd.DataFrame([run.columns() for run in expand(Sweep.from_toml("wolf", ("sweep.seeds=1",)))])
    for table in (curves, shipped):
        assert table["method"].eq("iterated").all()
        assert table["beta"].eq(0.0).all()
    assert set(curves[[*AXES]].itertuples(index=False)) == set(shipped[[*AXES]].itertuples(index=False))
    assert {*PUBLISHED} <= set(shipped[[*AXES]].itertuples(index=False, name=None))


def test_what_is_as_published_is_found(tmp_path: Path) -> None:
    folder = of_rounds(tmp_path / "as", AS_PUBLISHED.get, PROXY)
    found = verdicts(folder, "wolf")
    assert len(found) == 8
    assert set(found.values()) == {"holds"}, found
    expected = {
        "improves": {"concatenate": 1.2},
        "gap-closes": {"concatenate": 0.6},
        "diminishes": {"concatenate": 0.7},
        "concatenate": {"take last": 0.7, "sample": 0.6},
        "no-free-lunch": {"ensemble": -0.1, "average weights": -0.2, "worst case": -0.3},
        "restart": {"last policy": 1.0, "interpolate": 0.7},
        "interpolate": {"interpolate": 0.5},
        "no-recovery": {"last policy": -0.3},
    }
    for name, values in expected.items():
        estimates = claim_of("wolf", name).estimate(records_of(folder)).estimates
        assert {label: each.value for label, each in estimates.items()} == pytest.approx(values, abs=0.12), name


def test_the_opposite_is_found(tmp_path: Path) -> None:
    found = verdicts(of_rounds(tmp_path / "not", OPPOSITE.get, OPPOSITE_PROXY), "wolf")
    assert set(found.values()) == {"fails"}, found


def test_noise_leaves_every_claim_open(tmp_path: Path) -> None:
    found = verdicts(of_rounds(tmp_path / "noise", LEVEL.get, STEADY_PROXY, noise=1.0, draw=1), "wolf")
    assert set(found.values()) == {"undecided"}, found


@pytest.mark.parametrize(
    ("proxy", "verdict"),
    [
        ((2.0, 2.0, 2.0, 1.5), "holds"),
        ((0.0, 0.0, 0.0, 0.5), "holds"),  # below gold, and comes closer
        ((2.0, 2.0, 2.0, 0.5), "holds"),  # above gold, and then half as far below
        ((1.2, 1.0, 1.0, 0.4), "fails"),  # above gold, and then farther below
        ((0.5, 1.0, 1.0, 2.0), "fails"),
    ],
)
def test_a_gap_between_proxy_and_gold_has_no_sign(tmp_path: Path, proxy: tuple[float, ...], verdict: str) -> None:
    assert verdict_of(of_rounds(tmp_path / "made", LEVEL.get, proxy), "wolf", "gap-closes") == verdict


@pytest.mark.parametrize(
    ("design", "claims"),
    [
        ("ensemble", {"no-free-lunch"}),
        ("average weights", {"no-free-lunch"}),
        ("worst case", {"no-free-lunch"}),
        ("take last", {"concatenate"}),
        ("sample", {"concatenate"}),
        ("interpolate", {"restart"}),
        ("last policy", {"restart", "no-recovery"}),
    ],
)
def test_one_design_that_is_not_as_published_is_enough_to_fail(tmp_path: Path, design: str, claims: set[str]) -> None:
    golds = AS_PUBLISHED | {design: (*AS_PUBLISHED[design][:3], 3.0)}
    found = verdicts(of_rounds(tmp_path / "made", golds.get, PROXY), "wolf")
    assert {name for name, verdict in found.items() if verdict == "fails"} == claims


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_other_than_four_rounds_decide_nothing(tmp_path: Path, count: int) -> None:
    """Every claim is on four rounds; after one, designs do not differ yet."""
    longer = (*PROXY, PROXY[-1])
    folder = of_rounds(
        tmp_path / "made", lambda name: (*AS_PUBLISHED[name], AS_PUBLISHED[name][-1])[:count], longer[:count]
    )
    for claim in PAPERS["wolf"].claims:
        assert note_of(folder, "wolf", claim.name) == f"there are {count} rounds; the claim is of 4"


def told(folder: Path, curves: pd.DataFrame, name: str) -> str:
    """What is said of a claim where the folder has these curves."""
    curves.to_parquet(folder / "curves.parquet")
    return note_of(folder, "wolf", name)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    folder = of_rounds(tmp_path / "made", AS_PUBLISHED.get, PROXY)
    curves = pd.read_parquet(folder / "curves.parquet")
    assert note_of(curves, "wolf", "improves") == "there is no table of runs"
    assert told(folder, curves.drop(columns="proxy"), "gap-closes") == "there is no column proxy"
    assert (
        told(folder, curves[curves["step"] != 64], "restart") == "nothing was measured at step 64, where a round ends"
    )
    noisy = pd.concat([curves, curves.assign(label_noise=0.25, run_id=curves["run_id"] + "n")])
    assert told(folder, noisy, "concatenate") == "the curves vary in label_noise, too; take those of one value"
    penalized = pd.concat([curves, curves.assign(beta=0.1, run_id=curves["run_id"] + "p")])
    assert told(folder, penalized, "improves") == "there are runs of several KL penalties; take those of one"
    single = curves[curves["iterated_start"] == "reference"]
    assert told(folder, single, "restart") == "there are no runs of the design last policy"
    assert told(folder, single[single["iterated_proxies"] == "last"], "no-free-lunch") == (
        "there are no runs of the design ensemble"
    )
    one = curves[curves[[*AXES]].eq(list(BEST)).all(axis=1)].drop(columns="iterated_start")
    assert told(folder, one, "improves") == "there is no column iterated_start"


def test_designs_without_rounds_of_one_number_are_not_judged(tmp_path: Path) -> None:
    folder = of_rounds(tmp_path / "made", AS_PUBLISHED.get, PROXY)
    runs = pd.read_parquet(folder / "runs.parquet")
    runs.assign(**{"iterated.rounds": range(len(runs))}).to_parquet(folder / "runs.parquet")
    assert note_of(folder, "wolf", "improves") == "there are no rounds of one length and number"


def test_a_seed_that_lacks_a_design_is_not_compared_there(tmp_path: Path) -> None:
    folder = of_rounds(tmp_path / "made", AS_PUBLISHED.get, PROXY)
    curves = pd.read_parquet(folder / "curves.parquet")
    lost = curves["seed"].eq(0) & curves["iterated_proxies"].eq("mean")
    curves.assign(status=curves["status"].where(~lost, "diverged")).to_parquet(folder / "curves.parquet")
    estimates = claim_of("wolf", "no-free-lunch").estimate(records_of(folder)).estimates
    assert {name: each.degrees_of_freedom for name, each in estimates.items()} == {
        "ensemble": 4,
        "average weights": 5,
        "worst case": 5,
    }
