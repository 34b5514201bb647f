"""Pairs in a file of the user's own: the world's own pairs come back as they were, and what cannot be used is told."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import simulator as sim
from tests.conftest import heard
from tests.helpers.pair_files import Row, as_ids, as_messages, as_text, each, lines, parquet, rows_of
from tests.interchange.conftest import sweep_of

Write = Callable[[Path, sim.World, sim.Pairs], str]
WORLDS = ("letters", "letters-end", "numbers", "numbers-end", "bytes", "bytes-end")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], sim.World]:
    """A world of each way to write tokens, with an end and without; each is made once."""
    known: dict[str, sim.World] = {}

    def world(kind: str) -> sim.World:
        if kind not in known:
            known[kind] = sim.make_world(sweep_of(kind, tmp_path_factory.mktemp(kind)))
        return known[kind]

    return world


@pytest.fixture(scope="module")
def rows(lab: sim.World) -> list[Row]:
    return rows_of(lab.preferences(40, seed=3, distinct=True))


def same(found: sim.Pairs, pairs: sim.Pairs) -> bool:
    names = ("prompts", "chosen", "rejected", "gold")
    return all(torch.equal(getattr(found, name), getattr(pairs, name)) for name in names)


WAYS = [(write, kind) for kind in WORLDS for write in (as_ids, as_text, as_messages)]


@pytest.mark.slow(but=("as_ids-letters", "as_text-letters-end", "as_messages-numbers", "as_messages-bytes-end"))
@pytest.mark.parametrize(
    ("write", "kind"),
    [
        pytest.param(*way, id=f"{way[0].__name__}-{way[1]}")
        for way in WAYS
        if way[0] is not as_text or "by" not in way[1]
    ],
)
def test_pairs_of_a_world_come_back(write: Write, kind: str, made: Callable[[str], sim.World], tmp_path: Path) -> None:
    world = made(kind)
    pairs = world.preferences(24, seed=2, distinct=True)
    with heard() as told:
        found = world.read_pairs(tmp_path / write(tmp_path, world, pairs))
    assert same(found, pairs)
    assert not told


def test_text_is_its_bytes(made: Callable[[str], sim.World], tmp_path: Path) -> None:
    world = made("bytes-end")
    prompt = next(bytes(tokens).decode() for tokens in world.prompts.tolist() if b"\xc3" not in bytes(tokens)[-1:])
    texts = {"größe .": "größe .", "a <b": "a <b\n", "": "\n", "a\n": "a\n"}
    row = {"prompt": prompt, "rejected": "rejected."}
    name = lines(tmp_path / "texts.jsonl", [row | {"chosen": said} for said in texts])
    found = world.read_pairs(tmp_path / name)
    said = [bytes(token for token in tokens if token >= 0).decode() for tokens in found.chosen.tolist()]
    assert said == list(texts.values())
    assert {bytes(tokens).decode() for tokens in found.prompts.tolist()} == {prompt}


def test_an_export_is_read_as_it_is(lab: sim.World, tmp_path: Path) -> None:
    """Messages, text and ids stand side by side there, and every column of ids that is known is."""
    from simulator.interchange.spelling import spelling_of
    from simulator.interchange.tables import DataSetting, as_parquet, pairs_table

    setting = DataSetting(data=lab.settings.data, seeds=(1,))
    exported = pairs_table(lab, spelling_of(lab.settings, None), [setting]).table
    (tmp_path / "whole.parquet").write_bytes(as_parquet(exported))
    other = exported.rename_columns([name.replace("_tokens", "_ids") for name in exported.column_names])
    other = other.set_column(0, "prompt", [["none of these"] * len(other)])
    (tmp_path / "ids.parquet").write_bytes(as_parquet(other))
    for name in ("whole.parquet", "ids.parquet"):
        with heard():  # some pairs are two identical responses
            assert same(lab.read_pairs(tmp_path / name), lab.preferences(48, seed=1))


def test_several_messages_are_one_text(lab: sim.World, rows: list[Row], tmp_path: Path) -> None:
    def messages(tokens: list[int]) -> list[dict[str, str]]:
        return [{"role": "user", "content": lab.spell(part)} for part in (tokens[:1], tokens[1:])]

    found = lab.read_pairs(tmp_path / lines(tmp_path / "pairs.jsonl", each(rows, messages)))
    assert rows_of(found) == rows


TYPES = {
    "int8": lambda rows, path: parquet(path, rows, dict.fromkeys(rows[0], pa_list("int8"))),
    "large_list": lambda rows, path: parquet(path, rows, dict.fromkeys(rows[0], pa_list("int64", large=True))),
    "binary": lambda rows, path: parquet(path, each(rows, bytes)),
    "dictionary": lambda rows, path: dictionaries(path, rows),
    "crlf": lambda rows, path: raw(path, "\r\n".join(map(json.dumps, rows)).encode()),
    "mark": lambda rows, path: raw(path, b"\xef\xbb\xbf" + "\n\n".join(map(json.dumps, rows)).encode()),
    "separators": lambda rows, path: lines(path, [row | {"note": "a\u2028b\x85c\x0b"} for row in rows]),
    "spaces": lambda rows, path: lines(path, each(rows, lambda ids: " ".join("abcd"[token] for token in ids))),
}


def pa_list(kind: str, *, large: bool = False) -> object:
    import pyarrow as pa

    return (pa.large_list if large else pa.list_)(getattr(pa, kind)())


def dictionaries(path: Path, rows: list[Row]) -> str:
    import pyarrow as pa
    from pyarrow.parquet import write_table

    texts = each(rows, lambda ids: "".join("abcd"[token] for token in ids))
    write_table(pa.table({name: pa.array([row[name] for row in texts]).dictionary_encode() for name in rows[0]}), path)
    return path.name


def raw(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return path.name


@pytest.mark.parametrize("kind", TYPES)
def test_other_ways_to_store_the_same_are_read(kind: str, lab: sim.World, rows: list[Row], tmp_path: Path) -> None:
    ending = "jsonl" if kind in ("crlf", "mark", "separators", "spaces") else "parquet"
    TYPES[kind](rows, tmp_path / f"pairs.{ending}")
    assert rows_of(lab.read_pairs(tmp_path / f"pairs.{ending}")) == rows


def complaint(world: sim.World, name: str, content: bytes | list[Row]) -> str:
    """What is said of a file in the working folder."""
    if isinstance(content, bytes):
        Path(name).write_bytes(content)
    else:
        (parquet if name.endswith("parquet") else lines)(Path(name), content)
    with pytest.raises(sim.ConfigError) as error:
        world.read_pairs(name)
    assert str(error.value).startswith(f"data.file = {name}: ")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500
    return str(error.value)


GOOD = {"prompt": [1, 1], "chosen": [0, 1, 2], "rejected": [3, 1, 2]}
UNUSABLE = "has no pair that this world can use (1 with "


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello\nworld", "line 1 is no JSON (Expecting value"),
        (b"[1, 2]", "line 1 must be a table with prompt, chosen and rejected, on one line"),
        (b'\n{"prompt": "aa"', "line 2 is no JSON"),
        (b"[" * 10**5, "cannot be read (RecursionError"),
        (b'{"prompt": [' + b"9" * 5000 + b"]}", "line 1 is no JSON (Exceeds the limit"),
        (b'{"prompt": [1, 1], "chosen": [0, 1, 2], "rejected": [0, 1, ' + b"9" * 60 + b"]}", "1 with unknown tokens"),
        (b'{"prompt": [1, NaN], "chosen": [0, 1, 2], "rejected": [0, 1, 2]}', "neither token ids nor text"),
        (json.dumps(GOOD | {"chosen": None}).encode(), "line 1 has null as chosen"),
        (
            json.dumps({"prompt": [1], "chosn": [0], "rejected": [0]}).encode(),
            "line 1 has no chosen; did you mean chos",
        ),
        (b'{"pro\\u001b[31mmpt": "a", "chosen": "a", "rejected": "a"}', "has no prompt; did you mean pro\\x1b[31mmpt?"),
        (b"", "has no pair that this world can use (it has no rows)"),
        (b" \n\n", "has no pair that this world can use (it has no rows)"),
        ('{"prompt": "a"}'.encode("utf-16"), "must be UTF-8 text, but is UTF-16"),
        (b'{"prompt": "\xff"}', "must be UTF-8 text, but byte 12 is not"),
    ],
)
def test_lines_that_are_no_pairs_are_said(content: bytes, told: str, lab: sim.World) -> None:
    assert told in complaint(lab, "pairs.jsonl", content)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prompt": [1.0, 1.0]}, UNUSABLE + "values that are neither token ids nor text)"),
        ({"prompt": {"role": "user", "content": "bb"}}, "neither token ids nor text"),
        ({"prompt": [{"role": "user", "content": 3}]}, "neither token ids nor text"),
        ({"prompt": [True, True]}, "neither token ids nor text"),
        ({"prompt": [[1, 1]]}, "neither token ids nor text"),
        ({"prompt": [None, 1]}, "neither token ids nor text"),
        ({"prompt": 3}, "neither token ids nor text"),
        ({"prompt": "b\u001bb"}, "unknown tokens"),
        ({"prompt": "be"}, "unknown tokens"),
        ({"prompt": [1, -1]}, "unknown tokens"),
        ({"prompt": [1, 1, 1]}, UNUSABLE + "prompts that are none of the world's)"),
        ({"prompt": []}, "prompts that are none of the world's"),
        ({"chosen": [0, 1]}, UNUSABLE + "responses of other than 3 tokens)"),
        ({"chosen": [0, 1, -1]}, "responses of other than 3 tokens"),
        ({"chosen": [0, -1, 1]}, "unknown tokens"),
        ({"rejected": [0, 1, 4]}, "unknown tokens"),
    ],
)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_why_a_pair_cannot_be_used_is_said(change: Row, told: str, ending: str, lab: sim.World) -> None:
    assert lab.prompts.tolist().count([1, 1]) == 1
    assert told in complaint(lab, f"pairs.{ending}", [GOOD | change])


def test_columns_and_nulls_of_parquet_are_said(lab: sim.World, rows: list[Row]) -> None:
    renamed = [{"rejectd" if name == "rejected" else name: ids for name, ids in row.items()} for row in rows]
    assert complaint(lab, "a.parquet", renamed).endswith(": has no rejected; did you mean rejectd?")
    assert complaint(lab, "b.parquet", [{"text": "bb"}]).endswith("b.parquet: has no prompt")
    nulls = [*rows[:3], rows[3] | {"rejected": None}]
    assert complaint(lab, "c.parquet", nulls).endswith(": row 4 has null as rejected")


class CreatesAFile:
    """What a pickle could do to whoever opens it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("opened"),)


def test_files_that_are_damaged_or_something_else_are_said(lab: sim.World, rows: list[Row]) -> None:
    import pickle

    whole = Path(parquet(Path("whole.parquet"), rows)).read_bytes()
    damaged = [b"", b"PAR1", pickle.dumps(CreatesAFile()), *(whole[:cut] for cut in range(1, len(whole), 97))]
    for number, content in enumerate([*damaged, whole + b"x", whole[:-6] + b"\xff" + whole[-5:]]):
        assert "cannot be read (" in complaint(lab, f"{number}.parquet", content)
    assert not Path("opened").exists()
    for place in range(4, len(whole), 23):  # whatever a flipped bit makes of a library, it is one sentence or pairs
        flipped = whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :]
        Path("flipped.parquet").write_bytes(flipped)
        try:
            with heard():
                lab.read_pairs("flipped.parquet")
        except sim.ConfigError as error:
            assert str(error).startswith("data.file = flipped.parquet: ")


def test_what_is_left_out_and_what_says_nothing_is_counted(lab: sim.World, rows: list[Row], tmp_path: Path) -> None:
    """Three of ten cannot be used, and two of the seven others are identical, one of them among the first four."""
    good = [dict(row) for row in rows[:7]]
    good[2]["chosen"], good[6]["chosen"] = good[2]["rejected"], good[6]["rejected"]
    strange = [rows[0] | {"prompt": [0, 0, 0]}, rows[0] | {"chosen": "abz"}, rows[0] | {"prompt": [2, 2, 2, 2]}]
    name = lines(tmp_path / "pairs.jsonl", [strange[0], *good[:3], strange[1], *good[3:], strange[2]])
    with heard() as told:
        found = lab.read_pairs(tmp_path / name)
    assert rows_of(found) == good
    assert told == [
        f"data.file = {tmp_path / name}: of 10 pairs some are left out: 2 (20%) with prompts that are none of the "
        "world's; 1 (10%) with unknown tokens",
        f"data.file = {tmp_path / name}: {2 / 7:.1%} of the pairs are two identical responses, and say nothing",
    ]
    from simulator.preferences.pairs_file import check_pairs_file

    assert check_pairs_file(name, 4, lab.simulated)[1].startswith(f"data.file = {name}: 25.0% of the pairs")
    assert len(check_pairs_file(name, 2, lab.simulated)) == 1
    with pytest.raises(sim.ConfigError, match=r"data.pairs = 8: .* has 10 pairs, .* can use 7 .*; data.pairs=7 trains"):
        lab.preferences(8, file=str(tmp_path / name))
    assert rows_of(lab.preferences(3, file=str(tmp_path / name))) == good[:3]


def test_ends_of_responses_are_checked(made: Callable[[str], sim.World], tmp_path: Path) -> None:
    world = made("letters-end")
    end, length, prompt = world.simulated.end, world.response_length, world.prompts[0].tolist()
    assert (end, length) == (4, 4)
    good = {"prompt": prompt, "chosen": [0, 1, 2, 3], "rejected": [0, 4]}
    found = world.read_pairs(tmp_path / lines(tmp_path / "good.jsonl", [good, good | {"rejected": [0, 4, -1, -1]}]))
    assert found.rejected.tolist() == [[0, 4, -1, -1]] * 2
    for wrong, why in (
        ([0, 4, 1, 2], "tokens behind the end of a response"),
        ([0, 1], "responses of other than 4 tokens that do not end"),
        ([0, 1, 2, 3, 4], "responses of other than 4 tokens that do not end"),
        ([], "responses of other than 4 tokens that do not end"),
    ):
        assert why in complaint(world, "wrong.jsonl", [good | {"chosen": wrong}])
    texts = [{"prompt": world.spell(prompt), "chosen": said, "rejected": "e"} for said in ("ab", "abe", "abcd", "")]
    with heard():  # one pair is two identical responses
        found = world.read_pairs(tmp_path / lines(tmp_path / "texts.jsonl", texts))
    assert found.chosen.tolist() == [[0, 1, 4, -1], [0, 1, 4, -1], [0, 1, 2, 3], [4, -1, -1, -1]]


def test_what_says_nothing_beside_a_file_is_refused(lab: sim.World, rows: list[Row], tmp_path: Path) -> None:
    name = str(tmp_path / lines(tmp_path / "pairs.jsonl", rows))
    with pytest.raises(sim.ConfigError, match=r'labels = "deterministic": says nothing of pairs in a file, '):
        lab.preferences(file=name, labels="deterministic")
    with pytest.raises(sim.ConfigError, match=r"responses = 3: .*pairs.jsonl has pairs, of two responses"):
        lab.preferences(file=name, responses=3)
    with pytest.raises(sim.ConfigError, match=r"there is no such file .* did you mean pairs.jsonl"):
        lab.read_pairs(tmp_path / "pair.jsonl")
    with pytest.raises(sim.ConfigError, match=r"must end in .parquet, or in .jsonl"):
        lab.read_pairs(__file__)
    with pytest.raises(sim.ConfigError, match="is a folder"):
        lab.read_pairs(tmp_path)


def test_a_file_that_changes_is_read_again(lab: sim.World, rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    lines(path, rows)
    before = lab.read_pairs(path)
    lines(path, rows[::-1])
    assert rows_of(lab.read_pairs(path)) == rows[::-1]
    assert rows_of(before) == rows
