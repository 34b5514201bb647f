"""Sweep files: what is read, what is refused and in which words."""

import re
import tomllib
from pathlib import Path

import pytest

from simulator import ConfigError, Sweep
from simulator.settings.toml import override
from simulator.sweeps.cautions import cautions
from simulator.sweeps.grid import expand

CONFIGS = Path(__file__).parents[2] / "configs"


def read(text: str, tmp_path: Path, *overrides: str) -> Sweep:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    return Sweep.from_toml(path, overrides)


def refusal(text: str, tmp_path: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text, tmp_path, *overrides)
    return str(caught.value)


def test_a_byte_order_mark_is_no_part_of_a_sweep(tmp_path: Path) -> None:
    """Some editors of Windows begin UTF-8 with one; other encodings are named."""
    path = tmp_path / "sweep.toml"
    path.write_bytes(b"\xef\xbb\xbf" + "[data]\r\npairs = 7\r\n# größer\r\n".encode())
    assert Sweep.from_toml(path).data.pairs == 7
    for encoding, name in {"utf-16": "UTF-16", "utf-32": "UTF-32"}.items():
        path.write_bytes("[data]\npairs = 7\n".encode(encoding))
        with pytest.raises(ConfigError, match=rf"sweep\.toml: must be UTF-8 text, but is {name}; save it as UTF-8$"):
            Sweep.from_toml(path)


def test_where_a_wrong_value_came_from_is_said_last(tmp_path: Path) -> None:
    file = f"(in {tmp_path / 'sweep.toml'})"
    assert refusal("[data]\npairs = -1", tmp_path).endswith(f"must be greater than or equal to 1 {file}")
    assert refusal("", tmp_path, "data.pairs=-1").endswith("must be greater than or equal to 1 (from --set)")
    assert refusal("[data]\npairs = -1", tmp_path, "data.label_noise=0.1").endswith(file)
    both = refusal("[data]\npairs = -1", tmp_path, "sweep.beta=[-2]").splitlines()
    assert [line.rpartition(" (")[2] for line in both] == [file[1:], "from --set)"]
    several = refusal("[measure]\nprompts = 30", tmp_path, "measure.baseline=8")
    assert several.startswith("measure.prompts")
    assert refusal("[world]\nseed = 1", tmp_path, "world.vocabulary=100").endswith(", changed by --set)")


def test_an_empty_file_is_the_quickstart_with_more_betas_and_fewer_seeds(tmp_path: Path) -> None:
    nothing, grid = read("", tmp_path), Sweep().sweep
    assert nothing == Sweep()
    same = [f"sweep.beta={list(grid.beta)}", f"sweep.seeds={grid.seeds}"]
    assert Sweep.from_toml(CONFIGS / "quickstart.toml", same) == nothing


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_of_ours_is_valid_and_survives_writing(path: Path) -> None:
    sweep = Sweep.from_toml(path)
    assert Sweep.model_validate(tomllib.loads(sweep.to_toml())) == sweep


def test_axes_quoted_nested_and_single(tmp_path: Path) -> None:
    quoted = read('[sweep]\n"data.pairs" = [64, 256]', tmp_path)
    assert quoted.sweep.axes == {"data.pairs": (64, 256)}
    assert read("[sweep]\ndata.pairs = [64, 256]", tmp_path) == quoted
    assert read("", tmp_path, "sweep.data.pairs=[64, 256]") == quoted
    assert read("[sweep]\ndata.pairs = 64", tmp_path).sweep.axes == {"data.pairs": (64,)}
    assert Sweep.model_validate(tomllib.loads(quoted.to_toml())) == quoted


def test_overrides(tmp_path: Path) -> None:
    sweep = read(
        "[world]\nprompts = 2", tmp_path, "world.prompts=4", "gold.reward=motif", "sweep.beta=0.5", "data.pairs = 7"
    )
    assert (sweep.world.prompts, sweep.gold.reward, sweep.sweep.beta, sweep.data.pairs) == (4, "motif", (0.5,), 7)


def test_whole_numbers_serve_as_floats(tmp_path: Path) -> None:
    assert read("[sweep]\nbeta = [1, 2]", tmp_path).sweep.beta == (1.0, 2.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[data]\npairs = -5", "data.pairs = -5: must be greater than or equal to 1"),
        ("[data]\npaires = 5", "unknown key data.paires (= 5); did you mean data.pairs?"),
        ("[wrold]\nseed = 1", "unknown key wrold (= {'seed': 1}); did you mean world?"),
        ("prompts = 5", "unknown key prompts (= 5); did you mean world.prompts?"),
        ("[gold]\nzzz = 1", "unknown key gold.zzz (= 1); known here: reward, fluency, length, seed"),
        ("[data]\npairs = 'many'", 'data.pairs = "many": must be a valid integer'),
        ("[data]\npairs = 2.5", "data.pairs = 2.5: must be a valid integer"),
        ("[data]\npairs = true", "data.pairs = true: must be a valid integer"),
        ("[data]\nlabel_noise = 1.5", "data.label_noise = 1.5: must be less than or equal to 1"),
        ("[data]\nbehaviour = 'unifrm'", 'data.behaviour = "unifrm": must be "reference", "tempered"'),
        ("[data]\nbehaviour = 'unifrm'", "did you mean uniform?"),
        (
            "[gold]\nreward = 'motive'",
            'gold.reward = "motive": must be one of additive, motif, sentiment, transformer, my_file.py:function, hf:',
        ),
        ("[world]\nvocabulary = 64", "prompts * vocabulary^response_length (=16 * 64^4) must be at most"),
        ("[world]\nvocabulary = 1024\nresponse_length = 256", "(=16 * 1024^256) must be at most 8,388,608"),
        ("[world]\nseed = " + "9" * 5000, "is not valid TOML"),
        ("[world]\nseed = 0x" + "f" * 5000, "world.seed = a number of more than 40 digits: must be"),
        ("[sweep]\nbeta = 1e-300", "sweep.beta[0] = 1e-300: must be at least 1e-12"),
        ("[sweep]\nbeta = [0.3, 0.30000000000000004]", "must list every value once"),
        ("seeds = 2", "unknown key seeds (= 2); did you mean sweep.seeds?"),
        ("[sweep]\nlabel_noise = [0, 0.2]", "did you mean sweep.data.label_noise?"),
        ("[data]\npairs = [64, 256]", "must be a valid integer; to vary it, list it as sweep.data.pairs"),
        ("[sweep]\nloss = '[hinge,squared]'", "; quote the names in a list, such as"),
        ("[sweep]\nbeta = '0.1,0.2'", "write a list in brackets, such as [0.1,0.2]"),
        ("[sweep]\nloss = 'DPO'", "did you mean logistic?"),
        ("[sweep]\n'world.language' = [{topics = 2}, {topics = 3}]", "must list single values, not tables or lists"),
        ("[world]\nprompts = 1000", "prompts (=1000) must be at most topics * vocabulary^(prompt_length - 1) (=32)"),
        ("[world]\nlanguage.topics = 9", "language.topics (=9) must be at most vocabulary (=8)"),
        ("[world]\nlanguage.topics = 'few'", 'language.topics = "few": must be a valid integer or must be "auto"'),
        ("[world]\nlanguage.slip = 0", "world.language.slip = 0: must be greater than 0"),
        ("world = 3", "world = 3: must be a table"),
        ("[policy]\nwidth = 17", "policy: width (=17) must be divisible by heads (=2)"),
        ("[train]\nwarmup = 900", "train: warmup (=900) must be at most steps (=600)"),
        ("[sweep]\nbeta = [0.1, -1]", "sweep.beta[1] = -1: must be greater than 0"),
        ("[sweep]\nbeta = [nan]", "sweep.beta[0] = nan: must be a finite number"),
        ("[sweep]\nbeta = [inf]", "sweep.beta[0] = inf: must be a finite number"),
        ("[sweep]\nbeta = []", "sweep.beta = []: must list at least one value"),
        ("[sweep]\nbeta = [1, 1.0]", "sweep.beta = [1, 1.0]: must list every value once; 1.0 comes twice"),
        ("[sweep]\nloss = ['dpoo']", 'sweep.loss[0] = "dpoo": must be one of logistic, hinge'),
        ("[sweep]\nloss = ['dpo', 'logistic']", "must list every value once; logistic comes twice"),
        ("[sweep]\nloss = 'logistc'", "did you mean logistic?"),
        ("[sweep]\nbeat = [1]", "unknown key sweep.beat (= [1]); did you mean sweep.beta?"),
        ("[sweep]\n'data.pairs' = []", "sweep.data.pairs = []: must list at least one value"),
        (
            "[sweep]\nseeds = 500000\n'data.pairs' = [1, 2, 3]",
            "grid has 72,000,000 runs; it must have at most 10,000,000",
        ),
        ("[sweep]\naxes = 3", "sweep: axes is no key; what varies is named itself"),
        ("[sweep]\nzzz = 3", "unknown key sweep.zzz (= 3); known here: method, loss, beta, penalty, seeds"),
        ("[world]\nresponse_length = 9", 'or take kind = "sampled"'),
        (
            "[world]\nkind = 'enumerable'\nresponse_length = 1\nlanguage.text = 'shipped:reviews'\nlanguage.end = '.'",
            'language.end (=".") ends responses of a text, which need kind = "sampled"',
        ),
        ("[world]\nkind = 'sampled'\nlanguage.end = 'x'", 'world.language: end (="x") needs language.text'),
        ("[world]\nlanguage.text = 'a.txt'\nlanguage.stop = 0.1", "stop (=0.1) belongs to the synthetic language"),
        ("[world]\nlanguage.text = 'a.txt'\nvocabulary = 8", "vocabulary (=8) must be 256 with language.text"),
        ("[world]\nlanguage.text = 'a.txt'\nlanguage.end = 'é'", "must be one ASCII character"),
        ("[measure]\nprompts = 17", "measure.prompts (=17) must be at most world.prompts (=16)"),
        ("[measure]\nprompts = 1", 'measure.prompts = 1: must be greater than or equal to 2 or must be "all"'),
        ("[measure]\nsamples = 1", "measure.samples = 1: must be greater than or equal to 2"),
        ("[measure]\nkl_estimators = ['k4']", 'measure.kl_estimators[0] = "k4": must be one of k1, k2, k3'),
        ("[measure]\nkl_estimators = 5", "measure.kl_estimators = 5: must be a list"),
        ('[data]\npopulation = "yes"', 'data.population = "yes": must be true or false'),
        ("[world", "is not valid TOML"),
    ],
)
def test_refusals_name_the_key_the_rule_and_the_value(text: str, said: str, tmp_path: Path) -> None:
    message = refusal(text, tmp_path)
    assert said in message
    place = str(tmp_path / "sweep.toml")
    assert message.endswith(f" (in {place})") or message.startswith(f"{place}: ")
    assert len(message.splitlines()) == 1


def test_several_faults_are_all_told_up_to_a_few(tmp_path: Path) -> None:
    message = refusal("[data]\n" + "\n".join(f"key{i} = 1" for i in range(9)), tmp_path)
    assert len(message.splitlines()) == 6
    assert "and 4 more" in message


def test_the_grid_is_checked_at_every_point() -> None:
    sweep = Sweep.model_validate({"sweep": {"data.pairs": [8, -8]}})
    with pytest.raises(
        ConfigError, match=re.escape("data.pairs = -8: must be greater than or equal to 1 (in [sweep])")
    ):
        sweep.settings_at({"data.pairs": -8})
    with pytest.raises(ConfigError, match=re.escape("unknown key data.pires (= 8); did you mean data.pairs?")):
        sweep.settings_at({"data.pires": 8})
    with pytest.raises(ConfigError, match="pairs is a value here, not a table"):
        sweep.settings_at({"data.pairs.x": 8})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.toml: cannot be read \(No such file"):
        Sweep.from_toml(tmp_path / "nowhere.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        Sweep.from_toml(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    with pytest.raises(ConfigError, match=r"must be UTF-8 text, but byte 2 is not"):
        Sweep.from_toml(tmp_path / "latin.toml")
    (tmp_path / "large.toml").write_text("#" * 2_000_000)
    with pytest.raises(ConfigError, match="at most 262,144 bytes"):
        Sweep.from_toml(tmp_path / "large.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 20_000)
    with pytest.raises(ConfigError, match="is not valid TOML"):
        Sweep.from_toml(tmp_path / "deep.toml")


@pytest.mark.parametrize("text", ["world.prompts", "=3", "world..x=3", ""])
def test_malformed_overrides(text: str) -> None:
    with pytest.raises(ConfigError, match="must be KEY=VALUE"):
        override({}, text)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("true", ("k1", "k2", "k3")), ("false", ()), ("'k2'", ("k2",)), ("['k3', 'k1']", ("k3", "k1")), ("[]", ())],
)
def test_estimators_as_people_ask_for_them(given: str, meant: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text(f"[measure]\nkl_estimators = {given}")
    assert Sweep.from_toml(tmp_path / "sweep.toml").measure.kl_estimators == meant


def test_names_that_people_bring_are_taken_for_ours_and_said_once(tmp_path: Path) -> None:
    sweep = read('[sweep]\nloss = ["dpo", "ipo", "slic", "cdpo"]\nbeta = [0.1]\nseeds = 1', tmp_path)
    assert sweep.sweep.loss == ("logistic", "squared", "hinge", "conservative_dpo")
    assert sweep.aliases_used == ("dpo", "ipo", "slic", "cdpo")
    said = [text for text in cautions(sweep, expand(sweep)) if "is recorded as" in text]
    assert said[:2] == [
        "sweep.loss = dpo: is recorded as logistic, which is DPO's loss, beta as there",
        "sweep.loss = ipo: is recorded as squared, which is IPO's loss up to a factor, with beta = 2 tau",
    ]
    assert len(said) == 4
    assert read('[sweep]\nloss = "sigmoid"', tmp_path).sweep.loss == ("logistic",)


def test_a_sweep_that_ships_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Sweep.from_toml("gpo") == Sweep.from_toml(CONFIGS / "gpo.toml")
    with pytest.raises(ConfigError, match=r"neighbors: must be a sweep file .* did you mean neighbours\?"):
        Sweep.from_toml("neighbors")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpo").write_text("[data]\npairs = 7")
    assert Sweep.from_toml("gpo").data.pairs == 7
