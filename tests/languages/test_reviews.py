"""The text that ships is the same on every machine, and is what it says it is."""

import hashlib

import numpy as np
import pytest

import simulator as sim
from simulator.languages.reviews import BAD, GOOD, NAME, REVIEWS, reviews
from simulator.languages.text import open_text

SHA_256 = "ba272fe44a13dd1cdc9b3efcd93b7636ca7c2f1df63d49679fdb62b54d803556"


def test_the_text_is_the_same_bytes() -> None:
    assert hashlib.sha256(reviews()).hexdigest() == SHA_256


def test_it_is_five_thousand_lines_of_plain_text() -> None:
    lines = reviews().decode("ascii").split("\n")
    assert lines.pop() == ""
    assert len(lines) == REVIEWS == 5_000
    assert all(line.isprintable() and line == line.strip() and 10 < len(line) < 400 for line in lines)
    assert len(set(lines)) > 0.99 * REVIEWS
    words = reviews().decode().replace(".", " ").replace(",", " ").replace("!", " ").split()
    glad, cross = (sum(words.count(word) for word in some) for some in (GOOD, BAD))
    assert glad / cross == pytest.approx(1, abs=0.1)


def test_a_world_learns_it_by_its_name_and_says_its_hash() -> None:
    text = open_text(NAME, held_out=0.1, end="\n", prompt_length=16, response_length=48)
    assert text.data.tobytes() == reviews()
    assert text.end == ord("\n")
    prompts = text.draw_prompts(prompts=32, length=16, rng=np.random.default_rng(0))
    assert text.facts(prompts)["text_sha256"] == SHA_256
    assert all(bytes(prompt) in reviews() for prompt in prompts.astype(np.uint8))


def test_another_shipped_name_is_said() -> None:
    with pytest.raises(
        sim.ConfigError, match=r"world.language.text = shipped:review: .*did you mean shipped:reviews\?"
    ):
        open_text("shipped:review", held_out=0.1, end="", prompt_length=2, response_length=2)
