"""Pairwise objectives against second writings, finite differences, and the identities that tie them to each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit, log_expit

import simulator as sim
from simulator import LOSSES, OBJECTIVES
from simulator.methods.algorithms.surrogates import leave_one_out
from simulator.objectives.objective import Objective, Pairs
from tests.conftest import small_sweep

FLOATS = torch.float64
FAR = 60.0


def own_of(objective: Objective, **given: object) -> dict[str, object]:
    """Its parameters at their defaults, or as given."""
    values = {name: parameter.default for name, parameter in objective.parameters.items()} | given
    return {
        name: torch.tensor([[value]], dtype=FLOATS) if isinstance(value, float) else value
        for name, value in values.items()
    }


def pairs_of(
    name: str, policy: np.ndarray, reference: np.ndarray, beta: float = 0.4, *, fresh: bool = False, **own: object
) -> Pairs:
    """Pairs of one run with log-probabilities [K, N], responses of 3 and 5 tokens, and rewards."""
    rng = np.random.default_rng(5)
    count = policy.shape[1]
    return Pairs(
        policy=torch.from_numpy(policy)[None].clone().requires_grad_(),
        reference=torch.from_numpy(reference)[None],
        lengths=torch.tensor([3.0, 5.0, 4.0, 4.0][: len(policy)], dtype=FLOATS)[None, :, None].expand(1, -1, count),
        beta=torch.tensor([[beta]], dtype=FLOATS),
        hyperparameters=own_of(OBJECTIVES[name], **own),
        count=count,
        scores=torch.from_numpy(rng.normal(size=policy.shape))[None],
        mismatched=torch.from_numpy(rng.normal(loc=0.5, size=policy.shape))[None],
        token_log_probs=torch.from_numpy(-rng.exponential(size=(*policy.shape, 5)))[None],
        token_reference=torch.from_numpy(-rng.exponential(size=(*policy.shape, 5)))[None],
        token_alignment=torch.from_numpy(rng.normal(size=(*policy.shape, 5)))[None],
        online=fresh,
    )


def log_probs(responses: int = 2, count: int = 7, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return -2 * rng.exponential(size=(responses, count)) - 0.1, -2 * rng.exponential(size=(responses, count)) - 0.1


def value(name: str, pairs: Pairs) -> np.ndarray:
    return OBJECTIVES[name].loss(pairs)[0].detach().numpy()


def slope(name: str, pairs: Pairs) -> np.ndarray:
    (found,) = torch.autograd.grad(OBJECTIVES[name].loss(pairs).sum(), pairs.policy)
    return found[0].numpy()


def test_the_six_come_first() -> None:
    assert list(OBJECTIVES)[:6] == list(LOSSES)
    assert all(name == objective.name for name, objective in OBJECTIVES.items())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradients_agree_with_finite_differences(name: str) -> None:
    policy, reference = log_probs()
    found = slope(name, pairs_of(name, policy, reference))
    for at in np.ndindex(policy.shape):
        step = np.zeros_like(policy)
        step[at] = 1e-6
        high, low = (value(name, pairs_of(name, policy + sign * step, reference)).sum() for sign in (1, -1))
        assert found[at] == pytest.approx((high - low) / 2e-6, rel=1e-5, abs=1e-7)


def second_writing(name: str, policy: np.ndarray, reference: np.ndarray, gap: np.ndarray, beta: float) -> np.ndarray:
    """Losses that no library has, written again."""
    s_w, s_l = policy - reference
    l_w, l_l = policy[0] / 3, policy[1] / 5
    a = beta * (s_w - s_l)

    def bernoulli(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))

    def phi(s: np.ndarray) -> np.ndarray:
        return np.exp(s) + s

    return {
        "simper": lambda: np.exp(l_l) - np.exp(l_w),
        "ln_dpo": lambda: -log_expit(beta * (s_w / 3 - s_l / 5)),
        "r_dpo": lambda: -log_expit(a + 0.1 * (3 - 5)),
        "ipo_averaged": lambda: beta**2 * (s_w / 3 - s_l / 5 - 1 / beta) ** 2,
        "chi_po": lambda: -log_expit(np.clip(beta * (phi(s_w) - phi(s_l)), -8, 8)),
        "dpop": lambda: -log_expit(beta * (s_w - s_l - 50 * np.where(s_w < 0, -s_w, 0))),
        "rpo_squared": lambda: (a - gap) ** 2,
        "rpo_backward": lambda: bernoulli(expit(gap), expit(a)),
        "rpo_forward": lambda: bernoulli(expit(a), expit(gap)),
        "rpo_loo": lambda: (a - gap) ** 2 / 2,
        "sft": lambda: -l_w,
        "bco_pair": lambda: -log_expit(beta * s_w) - log_expit(-beta * s_l),
        "aot": lambda: -log_expit(beta * (np.sort(policy[0] - policy[1]) - np.sort(reference[0] - reference[1]))),
        "aot_unpaired": lambda: -log_expit(beta * (np.sort(s_w) - np.sort(s_l))),
        "discopop": lambda: expit(-a / 0.05) * np.log1p(np.exp(-a)) + expit(a / 0.05) * np.exp(-a),
    }[name]()


@pytest.mark.parametrize(
    "name",
    [
        *(f"rpo_{kind}" for kind in ("squared", "backward", "forward", "loo")),
        *("simper", "chi_po", "dpop", "discopop", "ln_dpo", "r_dpo", "ipo_averaged"),
        *("sft", "bco_pair", "aot", "aot_unpaired"),
    ],
)
def test_values_agree_with_a_second_writing(name: str) -> None:
    policy, reference = log_probs()
    pairs = pairs_of(name, policy, reference)
    gap = (pairs.rewards[0, 0] - pairs.rewards[0, 1]).numpy()
    assert value(name, pairs) == pytest.approx(second_writing(name, policy, reference, gap, 0.4), rel=1e-9)


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "exponential"])
def test_far_out_losses_and_gradients_are_finite(name: str) -> None:
    policy = np.array([[-FAR, -1e-9, -3.0], [-1e-9, -FAR, -3.0]])
    reference = np.array([[-1.0, -FAR, -3.0], [-FAR, -1.0, -3.0]])
    pairs = pairs_of(name, policy, reference, beta=3.0)
    assert np.isfinite(value(name, pairs)).all()
    assert np.isfinite(slope(name, pairs)).all()


def test_robust_dpo_undoes_flipped_labels() -> None:
    z = torch.linspace(-5, 5, 41, dtype=FLOATS)
    for epsilon in (0.05, 0.3):
        robust = OBJECTIVES["robust_dpo"].f
        mean = (1 - epsilon) * robust(z, epsilon) + epsilon * robust(-z, epsilon)
        assert mean.numpy() == pytest.approx(LOSSES["logistic"](z).numpy(), rel=1e-12)


def test_conservative_dpo_is_smallest_at_the_logit_of_its_share() -> None:
    z = torch.linspace(-4, 4, 80_001, dtype=FLOATS)
    at = z[OBJECTIVES["conservative_dpo"].f(z, 0.1).argmin()]
    assert at.item() == pytest.approx(np.log(9), abs=1e-3)


@pytest.mark.parametrize(("tau", "slope_at_zero"), [(0.05, 0.7843), (0.102, 0.0021), (0.1024, -0.0009), (1.0, -0.6733)])
def test_discopop_starts_by_pushing_margins_down_at_the_usual_tau(tau: float, slope_at_zero: float) -> None:
    shape = OBJECTIVES["discopop"].shape({"tau": tau})
    assert shape is not None
    assert shape.slope == pytest.approx(-3 / 4 + (1 - np.log(2)) / (4 * tau), rel=1e-9)
    assert shape.slope == pytest.approx(slope_at_zero, abs=5e-4)
    assert (OBJECTIVES["discopop"].kappa({"tau": tau}) is None) == (slope_at_zero > 0)


def test_a_price_on_tokens_is_right_where_labels_follow_it() -> None:
    """Labels by s + alpha |y| / beta are explained by rho = the difference of s, where the mean loss is least."""
    gap, alpha, beta, lengths = 0.8, 0.3, 0.4, np.array([3.0, 5.0])
    share = expit(beta * gap + alpha * (lengths[0] - lengths[1]))
    rho = np.linspace(-4, 4, 8001)

    def mean(first: int) -> np.ndarray:
        sign = 1 - 2 * first
        policy = np.zeros((2, len(rho)))
        policy[0] = sign * rho
        pairs = pairs_of("r_dpo", policy, np.zeros_like(policy), beta, alpha=alpha)
        order = lengths if not first else lengths[::-1]
        given = replace(pairs, lengths=torch.tensor(order.copy())[None, :, None].expand(1, -1, len(rho)))
        return value("r_dpo", given)

    assert rho[(share * mean(0) + (1 - share) * mean(1)).argmin()] == pytest.approx(gap, abs=2e-3)


def with_gap(pairs: Pairs, gap: float) -> Pairs:
    """The pairs with rewards that differ by `gap` in all of them."""
    scores = torch.zeros_like(pairs.rewards)
    scores[:, 0] = gap
    return replace(pairs, scores=scores)


def test_rpo_backward_with_a_large_gap_is_dpo() -> None:
    pairs = with_gap(pairs_of("rpo_backward", *log_probs()), 200.0)
    assert value("rpo_backward", pairs) == pytest.approx(
        value("logistic", pairs_of("logistic", *log_probs())), rel=1e-12
    )
    assert slope("rpo_backward", pairs) == pytest.approx(slope("logistic", pairs_of("logistic", *log_probs())))


def test_rpo_squared_with_a_constant_gap_is_the_squared_loss() -> None:
    pairs = with_gap(pairs_of("rpo_squared", *log_probs()), 1.0)
    assert value("rpo_squared", pairs) == pytest.approx(value("squared", pairs_of("squared", *log_probs())), rel=1e-12)
    wide = with_gap(pairs_of("rpo_squared", *log_probs(), beta=1.2), 3.0)  # a gap of 3 is IPO with beta / 3, times 9
    assert value("rpo_squared", wide) == pytest.approx(9 * value("squared", pairs_of("squared", *log_probs(), 0.4)))


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 0.4])
def test_rpo_at_a_gap_of_logit_is_conservative_dpo_and_exo(epsilon: float) -> None:
    gap = float(np.log((1 - epsilon) / epsilon))
    entropy = -(1 - epsilon) * np.log(1 - epsilon) - epsilon * np.log(epsilon)
    backward = value("rpo_backward", with_gap(pairs_of("rpo_backward", *log_probs()), gap))
    conservative = value("conservative_dpo", pairs_of("conservative_dpo", *log_probs(), epsilon=epsilon))
    assert backward + entropy == pytest.approx(conservative, rel=1e-9)
    forward = value("rpo_forward", with_gap(pairs_of("rpo_forward", *log_probs()), gap))
    exo = value("exo_pair", pairs_of("exo_pair", *log_probs(), epsilon=epsilon))
    assert forward == pytest.approx(exo, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("responses", [2, 3, 4])
def test_on_policy_leave_one_out_rpo_is_rloo(responses: int) -> None:
    """Its gradient by log pi is beta K / (K - 1) times that of RLOO's loss with the return eta r - beta s."""
    beta, eta = 0.3, 1.7
    pairs = pairs_of("rpo_loo", *log_probs(responses), beta=beta, eta=eta)
    found = slope("rpo_loo", pairs)
    returns = (eta * pairs.rewards - beta * pairs.ratios.detach())[0].T
    surrogate = -leave_one_out(returns).T.numpy() / responses  # d/d log pi of -mean_k A_k log pi_k
    assert found == pytest.approx(beta * responses / (responses - 1) * surrogate, rel=1e-9)


def test_two_responses_ranked_are_half_the_squared_form() -> None:
    squared = value("rpo_squared", pairs_of("rpo_squared", *log_probs()))
    assert value("rpo_loo", pairs_of("rpo_loo", *log_probs())) == pytest.approx(squared / 2)


@pytest.mark.parametrize(
    ("fresh", "stance", "sign"), [(False, "auto", -1), (True, "auto", 1), (True, "pessimistic", -1)]
)
@pytest.mark.parametrize(("calibration", "place"), [("chosen", 0), ("rejected", 1)])
def test_vpo_calibrated_by_a_response_is_dpo_and_its_likelihood(
    fresh: bool, stance: str, sign: int, calibration: str, place: int
) -> None:
    policy, reference = log_probs()
    own = {"alpha": 0.3, "stance": stance, "calibration": calibration}
    pairs = pairs_of("vpo", policy, reference, fresh=fresh, **own)
    dpo = pairs_of("logistic", policy, reference)
    gain = sign * 0.3 * 0.4
    assert value("vpo", pairs) == pytest.approx(value("logistic", dpo) + gain * (policy - reference)[place])
    expected = slope("logistic", dpo)
    expected[place] += gain
    assert slope("vpo", pairs) == pytest.approx(expected)


def test_kto_has_its_origin_at_the_mean_of_mismatched_pairs_or_zero() -> None:
    policy, reference = log_probs()
    pairs = pairs_of("kto", policy, reference)
    assert pairs.mismatched is not None
    s_w, s_l = policy - reference
    for shift in (0.0, -5.0):
        mismatched = pairs.mismatched + shift
        origin = max(0.0, mismatched.mean().item())
        expected = expit(-0.4 * (s_w - origin)) + expit(-0.4 * (origin - s_l))
        filled = torch.nn.functional.pad(mismatched, (0, 9), value=1e9)  # what fills pairs up says nothing
        assert value("kto", replace(pairs, mismatched=filled)) == pytest.approx(expected)


def test_simper_of_one_token_is_linear_in_the_policy() -> None:
    """Along the line between two policies its value is a straight line, and so it has its optimum at a corner."""
    lab = sim.make_world(small_sweep(world={"response_length": 1}))
    pairs = lab.preferences(seed=0)
    asked = (pairs.prompts[:, None] == lab.prompts).all(dim=2).int().argmax(dim=1)
    responses = pairs.responses[..., 0]
    first, second = (torch.rand(3, 4, generator=torch.Generator().manual_seed(i), dtype=FLOATS) for i in (0, 1))
    laws = [law / law.sum(dim=1, keepdim=True) for law in (first, second)]

    def loss(share: float) -> float:
        law = (1 - share) * laws[0] + share * laws[1]
        said = law[asked.unsqueeze(1), responses].log().T[None]
        some = replace(
            pairs_of("simper", *log_probs()), policy=said, reference=said, lengths=torch.ones_like(said), scores=None
        )
        return OBJECTIVES["simper"].loss(some).mean().item()

    assert [loss(share) for share in (0.25, 0.5, 0.75)] == pytest.approx(
        [loss(0) + share * (loss(1) - loss(0)) for share in (0.25, 0.5, 0.75)], rel=1e-12
    )
