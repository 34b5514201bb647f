"""What losses, methods and settings are called in sentences and figures, in the words of the field."""

from typing import Any

import pandas as pd

from analysis.records.about import GPO_LOSSES

PAPERS = {"logistic": "DPO", "hinge": "SLiC", "squared": "IPO"}  # losses that a paper gave another name
WRITTEN = {
    **{"chi_po": "χPO", "dpo_sft": "DPO + SFT", "exo_pair": "EXO", "nca_pair": "NCA"},
    **{"ln_dpo": "LN-DPO", "ld_dpo": "LD-DPO", "r_dpo": "R-DPO", "ipo_averaged": "IPO per token", "bco_pair": "BCO"},
}
UPPER = ("dpo", "kto", "vpo", "wpo", "rpo", "apo", "orpo", "dpop", "sppo", "ganpo", "l2", "sft", "aot")
WORDS = {
    **{name: name.upper() for name in UPPER},
    **{"simpo": "SimPO", "simper": "SimPER", "discopop": "DiscoPOP"},
}
GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "lambda": "λ", "tau": "τ", "eta": "η"}
GROUPS = ("train", "gold", "data", "rl", "iterated")  # tables of a sweep's file, before its keys
KEPT = ("policy", "world", "proxy")  # those that a key needs to be understood
AXES = {
    **{"proxy_parameters": "parameters of the proxy", "train_learning_rate": "learning rate"},
    "gold_length": "length in gold",
}
DIVERGENCES = {
    **{"kl": "KL", "chi2": "χ²", "chi2_kl": "χ² + KL", "forward_kl": "forward KL"},
    **{"jensen_shannon": "Jensen–Shannon", "alpha": "α"},
}
ERRORS = {"gaussian": "Gaussian", "student": "Student", "blind_spot": "blind-spot"}  # laws, before the word error
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def loss_label(loss: str) -> str:
    """A loss, with the name that a paper gave it: logistic (DPO); with its settings, if it has any: VPO, alpha 0.1.

    Of a sum, each of its losses: logistic (DPO) + 0.5 SFT.
    """
    name, *settings = str(loss).split(", ")
    if ":" in name:  # one of the user's own
        return str(loss).rsplit("/", 1)[-1]
    if " + " in name:
        parts = [part.rpartition(" ") for part in name.split(" + ")]
        together = " + ".join(f"{weight} {loss_label(part)}".strip() for weight, _, part in parts)
        return ", ".join([together, *(greek(setting) for setting in settings)])
    words = WRITTEN.get(name) or " ".join(WORDS.get(word, word) for word in name.split("_"))
    known = f"{words} ({PAPERS[name]})" if name in PAPERS else words
    return ", ".join([known, *(greek(setting) for setting in settings)])


def greek(setting: str) -> str:
    """A setting of a loss with the letter that its paper has: ε 0.1 for epsilon 0.1."""
    name, _, value = setting.partition(" ")
    return f"{GREEK.get(name, name)} {value}".strip()


def divergence_label(name: str) -> str:
    """A divergence of the policy from the reference."""
    return DIVERGENCES.get(name, value_text(name))


def error_label(law: str) -> str:
    """The law of a proxy's error, as the word before error."""
    return ERRORS.get(law, value_text(law))


def axis_label(name: str) -> str:
    """A setting: label noise for label_noise, and width for policy_width."""
    if name in AXES:
        return AXES[name]
    group, _, rest = name.partition("_")
    if rest and group in KEPT:
        return f"{group} {rest}".replace("_", " ")
    return (rest if rest and group in GROUPS else name).replace("_", " ")


def value_text(value: Any) -> str:
    """A value of a setting; none for one that is missing."""
    if pd.isna(value):
        return "none"
    if isinstance(value, str):
        return value.replace("_", " ")
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) < 2**53 else f"{value:g}"


def capitalized(text: str) -> str:
    """The text with a large first letter, but for Greek ones, which mean something else."""
    return text[:1].upper() + text[1:] if text[:1].isascii() else text


def in_words(count: int) -> str:
    """A small number as a word."""
    return NUMBERS[count] if count < len(NUMBERS) else f"{count:,}"


def listed(names: list[str]) -> str:
    """Names as a list in a sentence: a, b and c."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def losses_of(table: pd.DataFrame) -> list[str]:
    """The losses of a table: GPO's first, then the others as they come, variants of one beside each other."""
    found = list(table["loss"].dropna().unique())
    others = [name for name in found if name not in GPO_LOSSES]
    plain = list(dict.fromkeys(name.split(", ")[0] for name in others))
    return [name for name in GPO_LOSSES if name in found] + sorted(
        others, key=lambda name: plain.index(name.split(", ")[0])
    )
