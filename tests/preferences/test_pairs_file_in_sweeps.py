"""Sweeps on pairs of the user's own train on exactly these, whoever labelled them, and say what they cannot use."""

import hashlib
import tomllib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import simulator as sim
from run import main
from simulator.sweeps.grid import expand
from simulator.sweeps.unread_keys import unread_keys_of
from tests.conftest import heard, small_sweep
from tests.helpers.pair_files import as_ids, as_messages, as_text, flipped, lines, rows_of
from tests.interchange.conftest import sweep_of

FEW = {"train": {"steps": 8, "checkpoints": 3}}
NUMBERS = ["step", "kl", "gold", "proxy", "win_rate", "train_loss", "train_accuracy", "margin_q95", "entropy"]


def curves_of(sweep: sim.Sweep, folder: Path) -> pd.DataFrame:
    with heard():
        curves = pd.read_parquet(sim.run_sweep(sweep, folder, workers=1) / "curves.parquet")
    return curves[curves["method"] != "oracle"]


def same(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Whether two sets of curves are the same to the bit."""
    order = [name for name in ("loss", "beta", "seed", "n", "step") if name in found and name in expected]
    names = [name for name in NUMBERS if name in found and name in expected]
    assert {"kl", "gold"} <= set(names)
    left, right = (table.sort_values(order, ignore_index=True)[names] for table in (found, expected))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    return True


@pytest.mark.slow(but="as_messages")
@pytest.mark.parametrize("write", [as_ids, as_text, as_messages], ids=lambda write: write.__name__)
def test_policies_are_those_of_the_same_pairs(write: Callable[..., str], lab: sim.World, tmp_path: Path) -> None:
    """Labels of the world's own, so that the pairs could as well be drawn: the same curves, at every seed."""
    pairs = lab.preferences(48, seed=3)
    grid = {"loss": ["logistic", "kto"], "beta": [0.1], "seeds": 2}
    file = str(tmp_path / write(tmp_path, lab, pairs))
    sweep = small_sweep(**FEW, data={"file": file}, sweep=grid)
    records = curves_of(sweep, tmp_path / "out")
    for seed in (0, 1):
        for given in (pairs, sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.rejected)):
            trained = sim.train(lab, given, loss=["logistic", "kto"], beta=0.1, seed=seed, steps=8, checkpoints=3)
            assert same(records[records["seed"] == seed], trained.curves)
    with heard():
        read = sim.train(lab, lab.read_pairs(file), loss="kto", beta=0.1, seed=1, steps=8, checkpoints=3)
    assert set(read.curves["run_id"]) <= set(records["run_id"])


def test_labels_are_taken_as_they_are(lab: sim.World, tmp_path: Path) -> None:
    """With every label the other way round, policies lose gold, and hold what the file says for right."""
    pairs = lab.preferences(200, seed=3, labels="deterministic", distinct=True)
    file = lines(tmp_path / "wrong.jsonl", rows_of(flipped(pairs)))
    grid = {"loss": "logistic", "beta": [0.1], "seeds": 1}
    records = curves_of(small_sweep(data={"file": str(tmp_path / file), "pairs": 200}, sweep=grid), tmp_path / "out")
    right, wrong = (
        sim.train(lab, given, loss="logistic", beta=0.1, seed=0).curves for given in (pairs, flipped(pairs))
    )
    assert same(records, wrong)
    assert wrong["gold"].iloc[-1] < -0.3 < 0.3 < right["gold"].iloc[-1]
    assert min(wrong["train_accuracy"].iloc[-1], right["train_accuracy"].iloc[-1]) > 0.7


def test_proxies_learn_what_the_file_says(lab: sim.World, tmp_path: Path) -> None:
    wrong = flipped(lab.preferences(200, seed=3, labels="deterministic"))
    file = lines(tmp_path / "pairs.jsonl", rows_of(wrong))
    sweep = small_sweep(
        **FEW,
        data={"file": str(tmp_path / file), "pairs": 200},
        proxy={"width": 16, "steps": 60},
        best_of_n={"largest": 8, "pool": 64},
        sweep={"method": ["rl", "best_of_n"], "penalty": [0.1], "seeds": 1},
    )
    records = curves_of(sweep, tmp_path / "out")
    proxy = sim.train_proxy(lab, wrong, seed=0, width=16, steps=60)
    by_n = records[records["method"] == "best_of_n"].set_index("n")
    best = sim.best_of_n(lab, proxy, [int(n) for n in by_n.index], pool=64).set_index("n")
    assert by_n[["kl", "gold", "proxy"]].to_numpy().tolist() == best[["kl", "gold", "proxy"]].to_numpy().tolist()
    assert by_n["gold"].iloc[-1] < -0.3
    trained = sim.train(lab, proxy, method="rl", penalty=0.1, seed=0, steps=8, checkpoints=3).curves
    mine = records[records["method"] == "rl"]
    assert mine[["kl", "gold"]].to_numpy().tolist() == trained[["kl", "gold"]].to_numpy().tolist()


@pytest.mark.parametrize("kind", ["letters-end", pytest.param("bytes-end", marks=pytest.mark.slow)])
def test_worlds_with_ends_and_of_text(kind: str, tmp_path: Path) -> None:
    sweep = sweep_of(kind, tmp_path)
    changes = {"train": sweep.train.model_copy(update={"steps": 5, "checkpoints": 2})}
    world = sim.make_world(sweep)
    pairs = world.preferences(24, seed=1)
    file = str(tmp_path / as_messages(tmp_path, world, pairs))
    asked = sim.Sweep.model_validate(
        {**sweep.model_dump(), "train": changes["train"].model_dump()}
        | {"data": {"file": file, "pairs": 24}, "sweep": {"loss": ["simpo"], "beta": [0.5], "seeds": 1}}
    )
    records = curves_of(asked, tmp_path / "out")
    own = sim.Pairs(prompts=pairs.prompts, chosen=pairs.chosen, rejected=pairs.rejected)
    assert same(records, sim.train(world, own, loss="simpo", beta=0.5, seed=0, steps=5, checkpoints=2).curves)
    drawn = sim.train(world, pairs, loss="simpo", beta=0.5, seed=0, steps=5, checkpoints=2).curves
    for name in ("kl", "gold", "train_loss"):  # log pi_ref is computed anew, which rounds otherwise than the draw did
        assert drawn[name].to_numpy() == pytest.approx(records[name].to_numpy(), rel=1e-5, abs=1e-6)


def test_the_first_pairs_and_files_are_axes(lab: sim.World, tmp_path: Path) -> None:
    pairs = lab.preferences(48, seed=3)
    files = [lines(tmp_path / f"{name}.jsonl", rows_of(given)) for name, given in (("a", pairs), ("b", flipped(pairs)))]
    axes = {"data.file": [str(tmp_path / name) for name in files], "data.pairs": [16, 40]}
    records = curves_of(
        small_sweep(**FEW, sweep={"loss": "logistic", "beta": [0.1], "seeds": 1, **axes}), tmp_path / "out"
    )
    assert records.groupby(["file", "pairs"]).ngroups == 4
    for name, given in ((axes["data.file"][0], pairs), (axes["data.file"][1], flipped(pairs))):
        for count in (16,) if given is pairs else (40,):
            some = sim.Pairs(**{side: getattr(given, side)[:count] for side in ("prompts", "chosen", "rejected")})
            mine = records[(records["file"] == name) & (records["pairs"] == count)]
            assert same(mine, sim.train(lab, some, loss="logistic", beta=0.1, seed=0, steps=8, checkpoints=3).curves)


def test_a_file_that_changed_is_refused_and_its_hash_is_kept(
    lab: sim.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = lab.preferences(48, seed=3, distinct=True)
    (tmp_path / "small.toml").write_text(
        small_sweep(**FEW, data={"file": lines(tmp_path / "pairs.jsonl", rows_of(pairs))}, sweep={"seeds": 1}).to_toml()
    )
    sweep = sim.Sweep.from_toml(tmp_path / "small.toml")
    curves_of(sweep, tmp_path / "out")
    whole = (tmp_path / "pairs.jsonl").read_bytes()
    kept = tomllib.loads((tmp_path / "out" / "config.toml").read_text())["texts"]
    assert kept == {"pairs.jsonl": hashlib.sha256(whole).hexdigest()}
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    (tmp_path / "pairs.jsonl").write_bytes(whole.replace(b"0", b"1", 1))
    assert main(["sweep", "small.toml", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert "pairs.jsonl" in told
    assert kept["pairs.jsonl"] in told
    assert before == {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}


def test_a_file_that_changes_during_a_sweep_ends_it(lab: sim.World, tmp_path: Path) -> None:
    """What is trained after the change would be another sweep's; what was trained before is kept."""
    path = tmp_path / "pairs.jsonl"
    lines(path, rows_of(lab.preferences(48, seed=3, distinct=True)))
    grid = {"loss": "logistic", "beta": [0.1], "seeds": 1, "train.batch": [8, 16]}  # two stacks
    sweep = small_sweep(**FEW, data={"file": str(path)}, sweep=grid)

    def change(steps: int, runs: int, worked: bool) -> None:
        if worked and runs == 1:
            path.write_bytes(path.read_bytes() + b"\n")

    with pytest.raises(Exception, match=r"pairs.jsonl: is not the file that this sweep is about"), heard():
        sim.run_sweep(sweep, tmp_path / "out", workers=1, watch=change)


def test_a_ranked_loss_needs_other_data_and_labels_are_unread(lab: sim.World, tmp_path: Path) -> None:
    file = str(tmp_path / lines(tmp_path / "pairs.jsonl", rows_of(lab.preferences(48, seed=3))))
    with pytest.raises(
        sim.ConfigError, match=r'"rpo_loo" ranks several responses to a prompt, and data.file has pairs'
    ):
        expand(small_sweep(data={"file": file}, sweep={"loss": ["rpo_loo"]}))
    sweep = small_sweep(
        data={"file": file, "labels": "deterministic", "temperature": 2.0, "label_noise": 0.6, "distinct": True},
        sweep={"loss": "logistic"},
    )
    plain = small_sweep(data={"file": file}, sweep={"loss": "logistic"})
    assert [run.run_id for run in expand(sweep)] == [run.run_id for run in expand(plain)]
    told = unread_keys_of(sweep, expand(sweep))
    assert [sentence.partition(" = ")[0] for sentence in told] == [
        *("data.labels", "data.temperature", "data.label_noise", "data.distinct"),
    ]
    assert all("no run of this sweep reads it" in sentence for sentence in told)
    assert all("data.file" in sentence for sentence in told[:3])


NOT_PAIRS = {
    "nowhere.parquet": "there is no such file (looked for in ",
    "pair.jsonl": "; did you mean pairs.jsonl?",
    "folder.parquet": "is a folder; name a file of pairs",
    "pairs.txt": "must end in .parquet, or in .jsonl for JSON lines",
    "cut.parquet": "cannot be read (ArrowInvalid",
    "empty.jsonl": "has 0 rows; must have at least 1",
    "empty.parquet": "cannot be read (ArrowInvalid",
    "lists.jsonl": "line 1 must be a table",
    "two.jsonl": "data.pairs = 3: two.jsonl has 3 pairs, of which this world can use 2 (1 (33%) with unknown tokens); "
    "data.pairs=2 trains on those",
}


@pytest.mark.parametrize("name", NOT_PAIRS)
def test_the_command_says_in_one_sentence_what_is_wrong(
    name: str, lab: sim.World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of(lab.preferences(2, seed=3))
    lines(tmp_path / "pairs.jsonl", rows)
    lines(tmp_path / "two.jsonl", [*rows, rows[0] | {"chosen": [9, 9, 9]}])
    whole = (tmp_path / as_ids(tmp_path, lab, lab.preferences(2))).read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "lists.jsonl").write_text("[1]\n")
    (tmp_path / "folder.parquet").mkdir()
    for other in ("pairs.txt", "empty.jsonl", "empty.parquet"):
        (tmp_path / other).touch()
    (tmp_path / "small.toml").write_text(small_sweep().to_toml().replace("pairs = 48\n", ""))
    assert main(["sweep", "small.toml", "--out", "out", "--set", f'data.file="{name}"']) == 2
    error = capsys.readouterr().err
    assert NOT_PAIRS[name] in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()
