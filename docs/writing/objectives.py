"""The pairwise objectives, from OBJECTIVES; what people call them, and what they differ in from others, stands here."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from docs.writing.markdown import bound, code, page, sentence, table
from simulator.objectives import OBJECTIVES
from simulator.objectives.loss_table import defaults
from simulator.objectives.objective import Objective, Parameter


@dataclass(frozen=True, kw_only=True)
class Family:
    """Objectives that have something in common: what, and what each is known as."""

    title: str
    about: str
    known_as: dict[str, str]


FAMILIES = (
    Family(
        title="The six losses of GPO",
        about="For a labelled pair, the margin ρ = log[π(chosen)/π_ref(chosen)] − log[π(rejected)/π_ref(rejected)] "
        "says how much more the policy than the reference favours the chosen response, in nats. Each of these losses "
        "is the mean of f(z) at z = βρ over pairs (Generalized Preference Optimization, Tang et al. 2024, "
        "arXiv:2402.05749).",
        known_as={
            "logistic": "DPO",
            "hinge": "SLiC",
            "squared": "IPO; β here is 2τ there, and the loss 4τ² times IPO's",
            "exponential": "",
            "truncated_quadratic": "",
            "savage": "",
        },
    ),
    Family(
        title="Other functions of z = βρ",
        about="These have a κ = f″(0)/|f′(0)| like the six, at their parameters.",
        known_as={
            "conservative_dpo": "cDPO",
            "robust_dpo": "robust DPO",
            "exo_pair": "EXO: KL(Bern(σ(z)) ‖ Bern(1 − ε))",
            "discopop": "DiscoPOP; at the usual τ = 0.05 f′(0) > 0, and a sweep says so",
        },
    ),
    Family(
        title="Of both log-ratios",
        about="s = log π(y)/π_ref(y) and ℓ = log π(y)/|y|, each of the chosen (w) or the rejected (l) response.",
        known_as={
            "nca_pair": "NCA",
            "sppo_hard": "SPPO",
            "apo_zero": "APO",
            "apo_down": "APO",
            "bco_pair": "BCO; δ = running mean of β s in training, or 0",
            "aot": "AOT of pairs; (i): the i-th smallest of the batch",
            "aot_unpaired": "AOT without pairs; TRL's `aot_pair` of earlier versions",
            "kto": "KTO; z₀ = max(0, mean s of mismatched pairs); λ_D is `desirable`, λ_U `undesirable`",
            "chi_po": "χPO",
            "dpop": "DPO-Positive",
            "dpo_sft": "DPO with an SFT term",
        },
    ),
    Family(
        title="With lengths",
        about="|y| is the number of tokens, the end token included. Where all responses are equally long, these are "
        "losses above at another β.",
        known_as={
            "ln_dpo": "LN-DPO; β is for a nat per token",
            "r_dpo": "R-DPO; α > 0 asks for less where the chosen response is longer",
            "ipo_averaged": "IPO as TRL has it; β here is 2τ there, and the loss 4τ² times theirs",
        },
    ),
    Family(
        title="Of single tokens",
        about="These read log π of each token, or the law that it is drawn from; `data.population` has none. m is the "
        "mean over tokens of log π(y_t) − log Σ_v π(v)², without gradient.",
        known_as={
            "ld_dpo": "LD-DPO; α = 1 is the logistic loss, and so is every α where responses are equally long",
            "wpo": "WPO with sampled alignment; `cap` = 1 as in its authors' code, a large one as in TRL 1.16",
        },
    ),
    Family(
        title="With rewards",
        about="r is gold, or the score of a trained proxy in gold's unit. This is reward-aware, not regularized, "
        "preference optimization.",
        known_as={
            "rpo_squared": "RPO; not regularized PO",
            "rpo_backward": "RPO, in its authors' code's words",
            "rpo_forward": "RPO, in its authors' code's words",
            "rpo_loo": "RPO, leave-one-out",
        },
    ),
    Family(
        title="Without a reference",
        about="Nothing in these holds a policy near the reference, so what they come to depends on the steps and the "
        "learning rate.",
        known_as={
            "sft": "supervised fine-tuning; no β and no reference",
            "simper": "SimPER; no β and no reference",
            "simpo": "SimPO",
            "orpo": "ORPO, which has no β",
        },
    ),
    Family(
        title="DPO with a further term",
        about="The term is not a mean over functions of one pair.",
        known_as={
            "vpo": "VPO, − offline and + online; `calibration` = `reference` (DPO + αβ KL(π_ref‖π), exact where "
            "responses are listed), `chosen` or `rejected`",
            "ganpo": "GANPO; the controls are `ganpo_frozen` and `ganpo_l2`",
            "ganpo_frozen": "a control of GANPO",
            "ganpo_l2": "a control of GANPO",
        },
    ),
)
SOURCES = {  # of those whose own docstring is not about them
    "ganpo": "Jiang et al. 2026, arXiv:2601.22083.",
    "ganpo_frozen": "Ours: what is left of GANPO without its adversary's learning.",
    "ganpo_l2": "Ours: what is left of GANPO without an adversary.",
    "vpo": "Cen et al. 2024, arXiv:2405.19320.",
}
MEANINGS = {  # of parameters that say only which letter they are
    "objective.kto.desirable": "λ_D, the weight of chosen responses.",
    "objective.kto.undesirable": "λ_U, the weight of rejected responses.",
    "objective.ganpo.weight": "λ, the weight of what the discriminators say.",
    "objective.dpop.weight": "λ, the weight of the penalty.",
    "objective.dpo_sft.weight": "λ, the weight of the SFT term.",
    "objective.chi_po.bound": "R, in deviations of gold: clipped at 2R.",
    "objective.bco_pair.threshold": 'δ: "running", the mean of β s over all batches so far, or "zero", as in TRL 1.16.',
    "objective.aot.epsilon": "ε, TRL's label_smoothing.",
    "objective.discopop.tau": "τ; below 0.102 margins first fall.",
    "objective.conservative_dpo.epsilon": "ε, the share of labels that are taken for wrong.",
    "objective.robust_dpo.epsilon": "ε, the share of labels that are taken for wrong.",
    "objective.exo_pair.epsilon": "ε, what is left to the rejected response.",
    "objective.rpo.responses": "K, responses to a prompt, for rpo_loo.",
    "objective.rpo.reward": "Whose rewards: gold's or the proxy's.",
    "objective.ld_dpo.alpha": "α, what tokens behind the length of the shorter response count.",
    "objective.wpo.cap": "The largest weight of a pair; a very large cap does not cut at all.",
    "objective.vpo.calibration": "π_cal, what values are set off by.",
    "objective.vpo.stance": 'Pessimistic or optimistic; "auto" is pessimistic offline and optimistic online.',
    "objective.vpo.prompts": "Prompts a step that the expectation under the reference is taken at.",
}


def objectives_page() -> str:
    """docs/reference/objectives.md."""
    return page(
        "# Objectives",
        "Written by `python docs/reference.py` from the list of objectives. `sweep.loss` takes these names, and "
        "[`mine.py:function`](../howto/own_loss.md) for a loss of your own. They share data, training, measurement and "
        "records, and train in the same stacks. `python run.py losses` prints them all.",
        *(part for family in FAMILIES for part in section(family)),
        "## Sums with weights",
        'A name such as `"logistic + 0.5 sft"` is a sum of losses: each part is one of these names, with a weight '
        "before it unless that is 1. Parts read their own tables and see one β. Records have the canonical name, with "
        "parts in the order of the alphabet. Where all parts are functions of z, so is the sum, and it has a κ. Losses "
        "with rewards, and those with a further term, cannot be parts; nor can a loss of your own.",
        "## Around z = 0",
        "To second order in z, losses act alike at equal βκ. Values are at the default parameters.",
        table(("name", "f(0)", "f′(0)", "f″(0)", "κ"), shapes()),
        "## Parameters",
        "Each is a key of the [sweep file](sweep_file.md#objective), `objective.TABLE.NAME`, and may be an axis.",
        table(("of", "key", "default", "values", "meaning"), parameters()),
        "## Other names that are accepted",
        'The names that papers and libraries use are accepted where they mean exactly this: `loss = ["dpo", "slic"]` '
        "trains `logistic` and `hinge`, is recorded so, and says once which convention of β holds.",
        table(("name", "is", "which is"), other_names()),
        "## Sources and remarks",
        "Losses that Hugging Face TRL has are equal to TRL's, values and gradients, in a test. Conventions "
        "differ for some: [the losses](../explanation/losses.md#names-and-conventions) lists them.",
        table(("name", "source and remarks"), ((code(name), remarks(each)) for name, each in OBJECTIVES.items())),
    )


def section(family: Family) -> Iterator[str]:
    """What is said of a family."""
    yield f"## {family.title}"
    yield family.about
    rows = [(code(name), typeset(OBJECTIVES[name].formula), known) for name, known in family.known_as.items()]
    yield table(("name", "formula", "known as"), rows)


def typeset(formula: str) -> str:
    """A formula in signs of print."""
    return formula.replace("^2", "²").replace("-", "−").replace("*", "·")


def shapes() -> Iterator[tuple[str, ...]]:
    """What each function of z does at 0."""
    for name, objective in OBJECTIVES.items():
        shape, kappa = objective.shape(defaults(objective)), objective.kappa(defaults(objective))
        if shape:
            numbers = [f"{value:.4g}".replace("-", "−") for value in (shape.value, shape.slope, shape.curvature)]
            yield (code(name), *numbers, "none: f′(0) > 0" if kappa is None else f"{kappa:.4g}")


def parameters() -> Iterator[tuple[str, ...]]:
    """Every parameter, once for the objectives that share it."""
    of: dict[str, list[Objective]] = {}
    for objective in OBJECTIVES.values():
        if objective.parameters:
            of.setdefault(objective.table, []).append(objective)
    for name, objectives in of.items():
        for key, parameter in objectives[0].parameters.items():
            full = f"objective.{name}.{key}"
            yield (
                ", ".join(code(each.name) for each in objectives),
                code(full),
                code(parameter.default if parameter.words else f"{parameter.default:g}"),
                values(parameter),
                MEANINGS.get(full) or sentence(parameter.about),
            )


def values(parameter: Parameter) -> str:
    """The values that a parameter may have."""
    if parameter.words:
        return ", ".join(map(code, parameter.words))
    kind = "a whole number" if parameter.whole else "a number"
    return f"{kind} from {bound(parameter.least)} to {bound(parameter.most)}"


def other_names() -> Iterator[tuple[str, ...]]:
    """What else objectives may be called."""
    for name, objective in OBJECTIVES.items():
        for other in objective.convention.names:
            yield code(other), code(name), objective.convention.relation


def remarks(objective: Objective) -> str:
    """What the docstring of an objective says after its formula."""
    if objective.name in SOURCES:
        return SOURCES[objective.name]
    text = " ".join(inspect.cleandoc((objective.f or objective.loss).__doc__ or "").split())
    return text.partition(". ")[2]
