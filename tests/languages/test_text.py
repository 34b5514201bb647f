"""Real text as a language: what is held out stays held out, and a file that will not do is refused with a reason."""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator import ConfigError, Sweep, SweepError, make_world, run_sweep
from simulator.languages.language import fill_after_end, lengths
from simulator.languages.text import Text, open_text
from tests.conftest import small_sweep
from tests.helpers.plans import plan_of

FILL = -1  # stands in every place behind the end
SENTENCES = [
    f"{who} {verb} {what}.\n"
    for who in ("Ann", "Bob", "The cat")
    for verb in ("saw", "met", "fed")
    for what in ("a dog", "the owl", "nobody", "a très petit mouse")
]


@pytest.fixture
def path(tmp_path: Path, rng: np.random.Generator) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("".join(rng.choice(SENTENCES, size=300)), encoding="utf-8")
    return file


def opened(path: Path, **more: object) -> Text:
    asked = {"held_out": 0.2, "end": "", "prompt_length": 6, "response_length": 10} | more
    return open_text(str(path), **asked)


def test_prompts_are_passages_that_training_never_touches(path: Path, rng: np.random.Generator) -> None:
    text = opened(path)
    trained = (text.starts(16, held_out=False)[:, None] + np.arange(16)).ravel()
    held_out = (text.starts(6, held_out=True)[:, None] + np.arange(6)).ravel()
    assert not np.intersect1d(trained, held_out).size
    assert len(np.union1d(trained, held_out)) == len(text.data)
    assert np.unique(held_out).size / len(text.data) == pytest.approx(0.2, abs=0.01)
    prompts = text.draw_prompts(prompts=40, length=6, rng=rng)
    assert len({tuple(row) for row in prompts}) == 40
    assert all(bytes(row.astype(np.uint8)) in text.data.tobytes() for row in prompts)
    assert ((prompts[:, 0] & 0xC0) != 0x80).all()


@pytest.mark.parametrize("held_out", [0.01, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("more", [0, 1, 7, 90, 500])
def test_any_text_that_is_long_enough_can_be_used(tmp_path: Path, held_out: float, more: int) -> None:
    """From the shortest that is accepted on, there is something to learn from and something held out."""
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(ConfigError) as refused:
        opened(tmp_path / "a.txt", held_out=held_out)
    least = int(re.search(r"need at least ([\d,]+)", str(refused.value)).group(1).replace(",", ""))
    (tmp_path / "a.txt").write_text("abcdefghij" * 1000)
    with open(tmp_path / "a.txt", "r+b") as file:
        file.truncate(least + more)
    text = opened(tmp_path / "a.txt", held_out=held_out)
    rng = np.random.default_rng(0)
    for texts in (text.draw_texts, text.draw_unseen):
        prompts, responses = texts(count=50, prompt_length=6, rng=rng)
        assert (prompts.shape, responses.shape) == ((50, 6), (50, 10))
    assert len(text.draw_prompts(prompts=1, length=6, rng=rng)) == 1


def test_texts_are_passages_and_end_where_they_should(path: Path, rng: np.random.Generator) -> None:
    text = opened(path, end="\n")
    prompts, responses = text.draw_texts(count=200, prompt_length=6, rng=rng)
    whole = text.data.tobytes()
    for prompt, response in zip(prompts, responses, strict=True):
        said = response[response != FILL]
        assert bytes(np.concatenate([prompt, said]).astype(np.uint8)) in whole
        assert (said[:-1] != ord("\n")).all()
        assert len(said) == 10 or said[-1] == ord("\n")
    assert (lengths(responses) < 10).any()


def test_fill_stands_after_the_first_end() -> None:
    tokens = np.array([[1, 5, 2, 5], [5, 5, 5, 5], [1, 2, 3, 4]])
    assert fill_after_end(tokens, 5).tolist() == [[1, 5, -1, -1], [5, -1, -1, -1], [1, 2, 3, 4]]
    assert fill_after_end(tokens, None) is tokens


def test_what_is_in_the_text_is_fluent(path: Path, rng: np.random.Generator) -> None:
    text = opened(path)
    prompts, responses = text.draw_unseen(count=100, prompt_length=6, rng=rng)
    real = text.log_likelihood(prompts, responses)
    shuffled = text.log_likelihood(prompts, rng.permuted(responses, axis=1))
    assert (real > shuffled).mean() > 0.95
    assert text.facts(prompts)["fluency_parameters"] > 500


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no such file"),
        (b"", "is empty; it must hold text"),
        (b"too short", "has only 9 bytes; prompts of 6 and responses of 10 tokens need at least 85"),
        (b"\xff\xfe" + b"a" * 500, "must be UTF-8 text, but is UTF-16; save it as UTF-8"),
    ],
)
def test_a_file_that_will_not_do_is_refused_with_a_reason(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        opened(path)
    assert said in str(refused.value)
    assert f"world.language.text = {path}" in str(refused.value)
    with pytest.raises(ConfigError):
        plan_of(sweep_on(path, prompt_length=6, response_length=10, held_out=0.2), workers=1)
    assert not (tmp_path / "out").exists()


def test_a_byte_order_mark_is_no_part_of_a_text(path: Path, tmp_path: Path) -> None:
    """Some editors of Windows begin UTF-8 with one."""
    marked = tmp_path / "marked.txt"
    marked.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert opened(marked).fingerprint == opened(path).fingerprint


def test_a_folder_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        opened(tmp_path)
    with open(tmp_path / "huge.txt", "wb") as file:
        file.truncate(2**24 + 1)
    with pytest.raises(ConfigError, match="at most 16,777,216 are read"):
        opened(tmp_path / "huge.txt")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="is no regular file"):
        opened(tmp_path / "pipe")


def sweep_on(path: Path, **world: object) -> Sweep:
    language = {"text": str(path), **{key: world.pop(key) for key in ("held_out", "end") if key in world}}
    return small_sweep(
        world={"kind": "sampled", "vocabulary": 256, "prompts": 5, "prompt_length": 5, "response_length": 6}
        | world
        | {"language": language},
        measure={"samples": 4, "baseline": 16},
        reference={"steps": 30, "batch": 16},
        policy={"layers": 1},
        sweep={"loss": ["squared"], "beta": [0.1], "seeds": 2},
        train={"steps": 4, "checkpoints": 3},
    )


def test_a_sweep_on_a_text_runs_and_goes_on_only_with_the_same_text(path: Path, tmp_path: Path) -> None:
    sweep = sweep_on(path, end="\n")
    out = run_sweep(sweep, tmp_path / "out", workers=1)
    curves = pd.read_parquet(out / "curves.parquet")
    assert np.isfinite(curves[["kl", "gold", "win_rate", "length"]]).all().all()
    assert run_sweep(sweep, out, workers=1) == out
    path.write_text(path.read_text(encoding="utf-8") + "More.", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"another sweep, whose text .*text\.txt has changed since"):
        run_sweep(sweep, out, workers=1)
    with pytest.raises(ConfigError, match="is not the file that this sweep is about"):
        run_sweep(Sweep.from_toml(out / "config.toml"), tmp_path / "again", workers=1)


def test_a_text_that_changes_under_way_is_noticed(path: Path, tmp_path: Path) -> None:
    """Two texts as an axis in one process; the second changes while the first one's runs train."""
    other = tmp_path / "other.txt"
    other.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    base = sweep_on(path)
    grid = base.sweep.model_copy(update={"axes": {"world.language.text": (str(path), str(other))}})
    sweep = base.model_copy(update={"sweep": grid})

    def watch(steps: int, runs: int, worked: bool) -> None:
        if worked:
            other.write_text("Something else, " * 200, encoding="utf-8")

    with pytest.raises(SweepError, match=r"is not the file that this sweep is about(.|\n)*what is finished is kept"):
        run_sweep(sweep, tmp_path / "out", workers=1, watch=watch)


def test_a_text_brings_its_vocabulary_and_way_of_measuring(path: Path) -> None:
    sweep = Sweep.model_validate({"world": {"language": {"text": str(path)}}})
    assert (sweep.world.vocabulary, sweep.world.kind) == (256, "sampled")
    world = make_world(sweep_on(path))
    assert world.facts["text_bytes"] == path.stat().st_size
    assert world.facts["reference_cross_entropy"] < 6 * np.log(256)
