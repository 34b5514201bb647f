"""Files of generations are read in every shape that is published, and what is wrong is told where it stands."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import ResultsError, read_generations
from analysis.generations.columns import columns_in

LONG = [
    {"prompt": "b", "response": "x", "proxy": 1.0, "gold": 4.0},
    {"prompt": "a", "response": "y", "proxy": 2.0, "gold": 5.0},
    {"prompt": "b", "response": "z", "proxy": 3.0, "gold": 6.0},
]
NESTED = [
    {"instruction": "do", "input": "it", "answers": ["x", "z"], "proxy_scores": [1.0, 3.0], "gold_scores": [4.0, 6.0]},
    {"instruction": "do", "input": "so", "answers": ["y"], "proxy_scores": [2.0], "gold_scores": [5.0]},
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as a file of the kind that its name says."""
    table = pd.DataFrame(rows)
    writers: dict[str, Callable[[], object]] = {
        ".csv": lambda: table.to_csv(path, index=False),
        ".parquet": lambda: table.to_parquet(path),
        ".json": lambda: path.write_text(json.dumps(rows, indent=4)),
        ".jsonl": lambda: path.write_text("\n".join(map(json.dumps, rows)) + "\n\n"),
    }
    writers[path.suffix]()
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet", "json", "jsonl"])
def test_a_row_a_response_is_read_from_every_kind_of_file(ending: str, tmp_path: Path) -> None:
    found = read_generations(write(tmp_path / f"some.{ending}", LONG))
    assert found.prompt.tolist() == [0, 1, 0]  # rows of a prompt belong together wherever they stand
    assert found.gold.tolist() == [4.0, 5.0, 6.0]
    assert {name: values.tolist() for name, values in found.proxies.items()} == {"proxy": [1.0, 2.0, 3.0]}


@pytest.mark.parametrize("ending", ["parquet", "json", "jsonl"])
def test_a_row_a_prompt_is_read_with_its_lists_and_with_what_belongs_to_the_prompt(ending: str, tmp_path: Path) -> None:
    found = read_generations(write(tmp_path / f"some.{ending}", NESTED))
    assert found.columns.prompt == ("instruction", "input")
    assert found.columns.response == "answers"
    assert found.prompt.tolist() == [0, 0, 1]
    assert found.gold.tolist() == [4.0, 6.0, 5.0]
    assert found.proxies["proxy_scores"].tolist() == [1.0, 3.0, 2.0]
    alone = read_generations(write(tmp_path / f"some.{ending}", NESTED), prompt="instruction")
    assert alone.prompt.tolist() == [0, 0, 0]


def test_a_table_in_memory_is_read_like_a_file() -> None:
    for rows in (LONG, NESTED):
        assert len(read_generations(pd.DataFrame(rows)).gold) == 3


def test_scores_may_be_texts_truths_and_lists_of_one(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "score": [7.5], "gold": True}, {"prompt": "a", "score": [1], "gold": False}]
    found = read_generations(write(tmp_path / "some.jsonl", rows))
    assert found.proxies["score"].tolist() == [7.5, 1.0]
    assert found.gold.tolist() == [1.0, 0.0]
    path = tmp_path / "some.csv"
    long = "words, " * 40_000  # more than the csv module takes unless told
    path.write_text(f'\ufeffprompt,response,proxy,gold\na,"{long}",1e-3,True\n\na,"a\nb",-2,false\n', encoding="utf-8")
    assert read_generations(path).gold.tolist() == [1.0, 0.0]


def test_prompts_may_be_messages_or_numbers(tmp_path: Path) -> None:
    messages = [[{"role": "user", "content": text}] for text in ("hi", "ho", "hi")]
    rows = [row | {"prompt": prompt} for row, prompt in zip(LONG, messages, strict=True)]
    for ending in ("jsonl", "parquet"):
        assert read_generations(write(tmp_path / f"some.{ending}", rows)).prompt.tolist() == [0, 1, 0]
    assert read_generations(pd.DataFrame(LONG).assign(prompt=[7, 3, 7])).prompt.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("there", "proxies", "gold"),
    [
        (["prompt", "proxy", "gold"], ("proxy",), "gold"),
        (["question", "proxy_2", "proxy_1", "gold_score"], ("proxy_2", "proxy_1"), "gold_score"),
        (["query", "rm_a", "rm_b", "Gold"], ("rm_a", "rm_b"), "Gold"),
        (["prompt_id", "reward", "true_reward"], ("reward",), "true_reward"),
    ],
)
def test_columns_are_found_by_the_names_that_they_are_published_under(
    there: list[str], proxies: tuple[str, ...], gold: str
) -> None:
    found = columns_in(there, "some.csv")
    assert (found.prompt, found.proxies, found.gold) == ((there[0],), proxies, gold)


def test_named_columns_are_taken_and_no_other() -> None:
    there = ["prompt", "proxy_1", "proxy_2", "gold", "helpful", "topic"]
    found = columns_in(there, "some.csv", prompt=["topic"], proxy=["proxy_2"], gold="helpful")
    assert found.all == ["topic", "proxy_2", "helpful"]


COLUMNS = {
    "no gold": ({}, ["prompt", "proxy", "label"], "some.csv: has no gold column (gold, gold_score, gold_reward, "),
    "near gold": ({}, ["prompt", "proxy", "golds_score"], "if it is golds_score, say --gold golds_score"),
    "no proxy": ({}, ["prompt", "gold"], "some.csv: has no proxy column (proxy, proxy_1, rm_score, "),
    "no prompt": ({}, ["proxy", "gold"], "some.csv: has no prompt column (prompt, instruction, "),
    "unknown": ({"gold": "glod"}, ["prompt", "gold"], "some.csv: has no column glod (--gold); did you mean gold?"),
    "far": ({"proxy": ["zz"]}, ["a", "b"], "some.csv: has no column zz (--proxy); it has a, b"),
    "one for both": (
        {"gold": "proxy", "proxy": ["proxy"]},
        ["prompt", "proxy"],
        "some.csv: column proxy is proxy and gold at once; --proxy and --gold name two columns",
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_missing_column_is_told_with_the_nearest_and_the_option(case: str) -> None:
    named, there, message = COLUMNS[case]
    with pytest.raises(ResultsError) as caught:
        columns_in(there, "some.csv", **named)
    assert message in str(caught.value)


def changed(rows: list[dict[str, Any]], row: int, **values: Any) -> list[dict[str, Any]]:
    return [old | values if i == row else old for i, old in enumerate(rows)]


VALUES = {
    "text": ("csv", changed(LONG, 2, gold="n/a"), 'row 3: gold must be a finite number, not "n/a"'),
    "empty": ("csv", changed(LONG, 0, proxy=""), "row 1: proxy must be a finite number, not an empty value"),
    "null": ("jsonl", changed(LONG, 1, gold=None), "line 2: gold must be a finite number, not an empty value"),
    "infinite": ("parquet", changed(LONG, 1, gold=np.inf), "row 2: gold must be a finite number, not inf"),
    "no prompt": ("json", changed(LONG, 1, prompt=""), "row 2: prompt must be a prompt, but is empty"),
    "nan prompt": ("parquet", changed(LONG, 1, prompt=None), "row 2: prompt must be a prompt, but is empty"),
    "list": ("jsonl", changed(LONG, 0, proxy=[1, 2]), "line 1: proxy must be a finite number, not a list of 2"),
    "in a list": (
        "json",
        changed(NESTED, 0, proxy_scores=[1.0, "high"]),
        'row 1, response 2: proxy_scores must be a finite number, not "high"',
    ),
    "too short": (
        "jsonl",
        changed(NESTED, 1, proxy_scores=[1.0, 2.0]),
        "line 2: proxy_scores must have a value for each response; it has 2, and gold_scores 1",
    ),
    "answers": (
        "jsonl",
        changed(NESTED, 0, answers=["x"]),
        "line 1: answers must have a value for each response; it has 1, and gold_scores 2",
    ),
    "no responses": (
        "jsonl",
        changed(NESTED, 1, answers=[], proxy_scores=[], gold_scores=[]),
        "line 2: gold_scores must have a value for each response, but is an empty list",
    ),
    "no list": (
        "jsonl",
        changed(NESTED, 1, gold_scores=5.0),
        "line 2: gold_scores must be a list, as gold_scores of the first row is, not 5.0",
    ),
    "deep": (
        "jsonl",
        changed(NESTED, 0, gold_scores=[[1.0], [2.0]]),
        "line 1: gold_scores must be a list of numbers",
    ),
}


@pytest.mark.parametrize("case", VALUES)
def test_a_wrong_value_is_told_with_its_row_and_column(case: str, tmp_path: Path) -> None:
    ending, rows, message = VALUES[case]
    path = write(tmp_path / f"some.{ending}", rows)
    with pytest.raises(ResultsError) as caught:
        read_generations(path)
    assert str(caught.value) == f"{path}: {message}"


FILES = {
    "ending": ("some.txt", b"x", "must end in .csv, .parquet, .pq, .json, .jsonl, .ndjson, but ends in .txt"),
    "no ending": ("some", b"x", "but has no ending"),
    "twice": ("some.csv", b"prompt,proxy,gold,proxy\na,1,2,3\n", "has 2 columns proxy; which one is meant"),
    "no rows": ("some.csv", b"prompt,proxy,gold\n", "has no rows"),
    "nothing": ("some.jsonl", b"\n", "has no rows"),
    "empty list": ("some.json", b"[]", "has no rows"),
    "no JSON": (
        "some.jsonl",
        b'{"prompt": "a", "proxy": 1, "gold": 2}\nprompt',
        "line 2 is no JSON (Expecting value: line 1 column 1 (char 0)); write one object on each line, or one list",
    ),
    "no object": ("some.json", b"[1, 2]", "row 1 must be an object with columns, not int"),
    "lacks": (
        "some.jsonl",
        b'{"prompt": "a", "proxy": 1, "gold": 2}\n\n{"prompt": "a", "proxy": 1}',
        "line 3 has no gold, which the first has",
    ),
    "latin": ("some.jsonl", b'{"prompt": "\xe4"}', "must be UTF-8 text, but byte 12 is not"),
    "UTF-16": (
        "some.csv",
        "prompt,proxy,gold\n".encode("utf-16"),
        "must be UTF-8 text, but is UTF-16; save it as UTF-8",
    ),
    "damaged": ("some.parquet", b"PAR1", "cannot be read as PARQUET ("),
    "damaged list": ("some.json", b'[{"prompt": "a"', "cannot be read as JSON ("),
    "damaged table": ("some.csv", b'prompt,proxy,gold\n"a,1,2\n', "cannot be read as CSV ("),
    "commas": (
        "some.csv",
        b"prompt,response,proxy,gold\na,yes,1,2\na,well, yes,1,2\n",
        "row 2 has 5 values, and the header 4 columns; a text with commas must stand in quotes",
    ),
    "latin table": ("some.csv", b"prompt,proxy,gold\n\xe4,1,2\n", "cannot be read as CSV ('utf-8' codec can't decode"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_read_says_why(case: str, tmp_path: Path) -> None:
    name, content, message = FILES[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResultsError) as caught:
        read_generations(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"none\.csv: cannot be read \(No such file"):
        read_generations(tmp_path / "none.csv")
    (tmp_path / "some.json").mkdir()
    with pytest.raises(ResultsError, match="is a folder; name the file in it"):
        read_generations(tmp_path / "some.json")
    with pytest.raises(ResultsError, match="the table: has no rows"):
        read_generations(pd.DataFrame(LONG).iloc[:0])
