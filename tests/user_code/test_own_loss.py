"""A loss of the user's own: what a function is by its arguments, and how it can be wrong."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import simulator as sim
from simulator.objectives.custom import GIVEN
from simulator.objectives.own_loss import own_loss
from simulator.objectives.stacked_losses import ObjectiveSlice, StackedPairs, pair_losses
from tests.helpers.own_losses import MINE


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    return path


def complaint(mine: Path, function: str) -> str:
    with pytest.raises(sim.ConfigError) as error:
        own_loss(f"{mine.name}:{function}", mine.parent)
    return str(error.value)


def test_the_documented_names_are_what_a_function_is_given(mine: Path) -> None:
    assert own_loss("mine.py:with_default", mine.parent).objective.f is not None
    assert own_loss("mine.py:by_pairs", mine.parent).objective.has_beta
    assert not own_loss("mine.py:free", mine.parent).objective.has_beta
    for name in GIVEN:
        assert name in complaint(mine, "wants")


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("agan", "agan is not there; mine.py has again,"),
        ("agan", "did you mean again?"),
        ("FACTOR", "FACTOR is no function"),
        ("raises", "raises (RuntimeError, line 21: no such thing as a loss)"),
        ("a_number", "must return a tensor, not float"),
        ("a_mean", "must return a value for each pair, shape [2, 64] here, not []"),
        ("nan_at_zero", "must be finite where the policy is the reference, not -inf"),
        ("detached", "must let a gradient flow"),
        ("flat", "must have a finite gradient that is not zero everywhere"),
        ("neighbours", "must be elementwise in z"),
        ("mixes", "must keep runs apart"),
        ("no_argument", "takes no argument; it must be f(z), or a function of several of chosen, rejected"),
        ("wants", "cannot be given rejcted; did you mean rejected?"),
    ],
)
def test_what_is_wrong_is_said(mine: Path, function: str, told: str) -> None:
    assert told in complaint(mine, function)
    assert complaint(mine, function).startswith(f"sweep.loss = mine.py:{function}: ")


def test_a_byte_order_mark_is_no_part_of_a_loss(tmp_path: Path) -> None:
    """Some editors of Windows begin UTF-8 with one; what UTF-16 is, is said."""
    text = "def f(z):\n    return (z - 1).square()  # größer\n"
    (tmp_path / "plain.py").write_bytes(text.encode())
    (tmp_path / "marked.py").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (tmp_path / "wide.py").write_bytes(text.encode("utf-16"))
    plain, marked = (own_loss(f"{name}.py:f", tmp_path) for name in ("plain", "marked"))
    z = torch.linspace(-2, 2, 9)
    assert torch.equal(marked.objective.f(z), plain.objective.f(z))
    with pytest.raises(sim.ConfigError, match=r"wide\.py: must be UTF-8 text, but is UTF-16; save it as UTF-8"):
        own_loss("wide.py:f", tmp_path)


def test_what_is_installed_beside_a_file_does_not_belong_to_it(tmp_path: Path) -> None:
    """An environment often lies in the folder of a project: its modules stay loaded, and are no code of the loss."""
    installed = tmp_path / ".venv" / "lib" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "some_library.py").write_text("POWER = 2\n")
    source = f"import sys\nsys.path.append({str(installed)!r})\nfrom some_library import POWER\n"
    (tmp_path / "some.py").write_text(
        f"{source}import analysis.statistics.laws\ndef f(z):\n    return (z - 1) ** POWER\n"
    )
    try:
        assert own_loss("some.py:f", tmp_path).function.files == ((tmp_path / "some.py").resolve(),)
        assert "some_library" in sys.modules
    finally:
        assert str(installed) not in sys.path  # what the file has added is taken back
        sys.modules.pop("some_library", None)


def of(tmp_path: Path, source: str):
    """The objective that a function `f` is."""
    path = tmp_path / "some.py"
    path.write_text(f"import torch\nfrom torch.nn.functional import softplus\n{source}\n")
    return own_loss("some.py:f", tmp_path).objective


def test_a_function_that_reduces_over_pairs_sees_no_filling(tmp_path: Path) -> None:
    centred = of(
        tmp_path, "def f(chosen, rejected):\n    m = chosen - rejected\n    return softplus(m.mean(-1, True) - m)"
    )
    rng = np.random.default_rng(0)
    ratios = torch.from_numpy(rng.normal(size=(2, 10, 2)))
    nothing = torch.zeros_like(ratios)
    parts = [ObjectiveSlice(objective=centred, rows=2, hyperparameters={})]
    given = StackedPairs(policy=ratios, reference=nothing, lengths=nothing + 1, beta=torch.ones(2, 1))
    losses = pair_losses(given, parts).numpy()
    margin = (ratios[..., 0] - ratios[..., 1]).numpy()
    assert losses == pytest.approx(np.log1p(np.exp(margin.mean(axis=1, keepdims=True) - margin)))


@pytest.mark.parametrize(
    ("source", "is_f", "has_beta"),
    [
        ("def f(x):\n    return softplus(-x)", True, True),
        ("def f(z, *, tau=2.0):\n    return softplus(-z / tau)", True, True),
        ("f = softplus", True, True),
        ("def f(*given):\n    return softplus(-given[0])", True, True),
        ("class F(torch.nn.Module):\n    def forward(self, z):\n        return softplus(-z)\nf = F()", True, True),
        ("def f(rho):\n    return softplus(-rho)", False, False),
        ("def f(chosen_log_prob):\n    return -chosen_log_prob", False, False),
        ("def f(chosen, rejected, beta=0.1):\n    return softplus(-beta * (chosen - rejected))", False, True),
        ("def f(z, chosen):\n    return softplus(-z) - chosen", False, True),
        (
            "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n"
            "    b: float = 1.0\ndef f(z):\n    return softplus(-A().b * z)",
            True,
            True,
        ),
    ],
)
def test_what_a_function_is_follows_from_its_arguments(tmp_path: Path, source: str, is_f: bool, has_beta: bool) -> None:
    future, rest = source.partition("\n")[::2] if "__future__" in source else ("", source)
    head = f"{future}\nimport torch\nfrom torch.nn.functional import softplus\n"
    (tmp_path / "some.py").write_text(f"{head}{rest}\n")
    objective = own_loss("some.py:f", tmp_path).objective
    assert ((objective.f is not None), objective.has_beta) == (is_f, has_beta)


def test_more_that_is_refused_with_its_reason(tmp_path: Path) -> None:
    for source, told in (
        ("class f:\n    pass", "f is no function"),
        ("def f(z):\n    return -torch.log(z + 1)", "must be finite for log-ratios of at most 2 nats, not"),
        ("def f(z):\n    return torch.ones(2, 64) * z", "shape [1, 64] here, not [2, 64]"),
        ("def f(z):\n    assert z.abs().max() < 3\n    return softplus(-z)", "raises (AssertionError, line 4"),
    ):
        with pytest.raises(sim.ConfigError) as error:
            of(tmp_path, source)
        assert told in str(error.value), source
