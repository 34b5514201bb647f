"""Exported models are ours: transformers reads them, and they say the same with the same probability."""

import json
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from simulator import World, load_policies
from simulator.networks.token_log_probs import response_logits
from tests.interchange.conftest import Exported

KINDS = ("letters", "letters-end")
DRAWS = 4000


@pytest.fixture
def load() -> Callable[..., torch.nn.Module]:
    transformers = pytest.importorskip("transformers", reason="the extra `hf` installs it, to read what is exported")
    return lambda path: transformers.GPT2LMHeadModel.from_pretrained(path).eval()


def ids_of(world: World) -> tuple[Tensor, Tensor]:
    """Prompts [P, L] and some responses [P, m, T] to each, without an end but at the last place."""
    rng = np.random.default_rng(3)
    spoken = world.vocabulary - (world.simulated.end is not None)
    shape = (len(world.prompts), 20, world.response_length)
    return world.prompts, torch.from_numpy(rng.integers(spoken, size=shape))


@pytest.mark.parametrize("kind", [*KINDS, "numbers", "bytes-end"])
def test_logits_are_ours_after_every_prefix(
    kind: str, exported: Callable[[str], Exported], load: Callable[..., torch.nn.Module]
) -> None:
    made = exported(kind)
    prompts, responses = ids_of(made.world)
    ours = response_logits(made.world.reference.parameters, made.world.simulated.architecture, prompts, responses[None])
    whole = torch.cat([prompts[:, None].expand(-1, responses.shape[1], -1), responses], dim=2).flatten(0, 1)
    with torch.no_grad():
        theirs = load(made.path / "reference")(whole).logits
    assert theirs.shape == (len(whole), whole.shape[1], made.world.vocabulary)
    after = theirs[:, prompts.shape[1] - 1 : -1].view(ours[0].shape)
    assert (after - ours[0]).abs().max() < 1e-5
    assert ours.std() > 0.1


def test_trained_policies_are_ours(with_policies: Exported, load: Callable[..., torch.nn.Module]) -> None:
    told = json.loads((with_policies.path / "policies.json").read_text())
    world, listed = with_policies.world, with_policies.world.responses
    prompts = world.prompts
    whole = torch.cat([prompts[:, None].expand(-1, len(listed), -1), listed.expand(len(prompts), -1, -1)], dim=2)
    places = torch.arange(prompts.shape[1] - 1, whole.shape[2] - 1)
    found = []
    for one in told:
        with torch.no_grad():
            laws = load(with_policies.path / one["folder"])(whole.flatten(0, 1)).logits.double().log_softmax(dim=-1)
        steps = laws[:, places].gather(2, whole.flatten(0, 1)[:, places + 1, None])
        found.append(steps.sum(dim=(1, 2)).view(whole.shape[:2]))
    reference = world.reference.log_prob(prompts, listed.expand(len(prompts), -1, -1))[0]
    kl = [float((law.exp() * (law - reference)).sum(dim=1).mean()) for law in found]
    assert kl == pytest.approx([one["kl"] for one in told], rel=1e-4)  # as the sweep measured it
    assert min(kl) > 0.01
    assert abs(kl[0] - kl[1]) > 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_generated_follows_the_same_law(
    kind: str, exported: Callable[[str], Exported], load: Callable[..., torch.nn.Module]
) -> None:
    """Pearson's chi-square, on responses that are expected five times or more and the rest together."""
    made = exported(kind)
    prompt = made.world.prompts[:1]
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = load(made.path / "reference").generate(prompt.expand(DRAWS, -1))[:, prompt.shape[1] :]
    end, most = made.world.simulated.end, made.world.response_length
    assert drawn.shape == (DRAWS, most)
    if end is not None:  # what stands behind an end pads
        ended = (drawn == end).cumsum(dim=1) - (drawn == end).long() > 0
        assert (drawn[ended] == end).all()
        drawn = drawn.masked_fill(ended, -1)
    seen = Counter(map(tuple, drawn.tolist()))
    assert len(seen) > 20
    kinds = list(seen)
    law = made.world.reference.log_prob(prompt, torch.tensor(kinds)[None])[0, 0].exp().numpy()
    often = law * DRAWS >= 5
    expected = np.append(law[often], 1 - law[often].sum()) * DRAWS
    counts = np.array([seen[one] for one in kinds])
    observed = np.append(counts[often], counts[~often].sum())
    assert chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - 1) > 1e-3


def test_files_name_sizes_and_ends(exported: Callable[[str], Exported]) -> None:
    for kind, end in (("letters", None), ("letters-end", 4)):
        made = exported(kind)
        config = json.loads((made.path / "reference" / "config.json").read_text())
        drawing = json.loads((made.path / "reference" / "generation_config.json").read_text())
        length = made.world.prompts.shape[1] + made.world.response_length
        assert (config["vocab_size"], config["n_positions"]) == (made.world.vocabulary, length)
        assert drawing["max_new_tokens"] == made.world.response_length
        assert config["eos_token_id"] == config["pad_token_id"] == drawing["eos_token_id"] == end


def test_policies_are_those_of_the_sweep(with_policies: Exported, results: object) -> None:
    told = json.loads((with_policies.path / "policies.json").read_text())
    ours = load_policies(str(results), run_id=[one["run_id"] for one in told])
    assert ours.table["loss"].tolist() == [one["loss"] for one in told]
    assert ours.table["seed"].tolist() == [one["rows"]["seed"] for one in told]
    assert [path.name for path in sorted((with_policies.path / "policies").iterdir())] == sorted(
        one["folder"].removeprefix("policies/") for one in told
    )
