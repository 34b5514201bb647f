"""Which columns of a file of generations are prompt, response, proxy scores and gold score.

The names are those under which such tables are published. Coste et al. 2023 (arXiv:2310.02743) publish rows with
`instruction`, `input`, `answers` and `gold_scores`, to which their program adds `proxy_scores`; AlpacaFarm has
`instruction`, `input` and `output`; sets of single responses have `prompt`, `response` and a score.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from analysis.records.load import ResultsError

PROMPT = ("prompt", "instruction", "question", "query", "prompt_id")
FURTHER = {"instruction": "input"}  # a column that is a part of the prompt where it stands beside another
RESPONSE = ("response", "answer", "output", "completion", "generation")
PROXY = ("proxy", "rm_score", "reward_score", "reward", "score")
GOLD = ("gold", "gold_score", "gold_reward", "true_reward")
BEGINNINGS = ("proxy_", "rm_")  # of proxies, which may be several
SHOWN = 8  # columns in a message


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The names of columns: those that together are the prompt, that of the response if there is one, the scores."""

    prompt: tuple[str, ...]
    proxies: tuple[str, ...]
    gold: str
    response: str | None = None

    @property
    def all(self) -> list[str]:
        """All of them, each once."""
        response = [self.response] if self.response else []
        return list(dict.fromkeys([*self.prompt, *response, *self.proxies, self.gold]))


def columns_in(
    there: Sequence[str],
    source: str,
    *,
    prompt: Sequence[str] = (),
    proxy: Sequence[str] = (),
    gold: str | None = None,
    response: str | None = None,
) -> Columns:
    """The columns to take of those that are `there`; what is not named is looked for. Raises ResultsError."""
    named = {
        "prompt": prompt,
        "proxy": proxy,
        "gold": [gold] if gold else [],
        "response": [response] if response else [],
    }
    for option, names in named.items():
        for name in names:
            if name not in there:
                raise ResultsError(f"{source}: has no column {name} (--{option}){nearest(name, there)}")
    taken = {name for names in named.values() for name in names}
    of_gold = gold or first_of([*GOLD], there, taken)
    if of_gold is None:
        raise ResultsError(missing("gold", GOLD, there, source))
    proxies = tuple(dict.fromkeys(proxy)) or proxies_in(there, taken | {of_gold})
    if not proxies:
        raise ResultsError(missing("proxy", ("proxy", "proxy_1", *PROXY[1:]), there, source))
    if of_gold in proxies:
        raise ResultsError(f"{source}: column {of_gold} is proxy and gold at once; --proxy and --gold name two columns")
    prompts = tuple(dict.fromkeys(prompt)) or prompt_in(there, taken)
    if not prompts:
        raise ResultsError(missing("prompt", PROMPT, there, source))
    answer = response or first_of(RESPONSE, there, {*taken, of_gold, *proxies, *prompts})
    return Columns(prompt=prompts, proxies=proxies, gold=of_gold, response=answer)


def prompt_in(there: Sequence[str], taken: set[str]) -> tuple[str, ...]:
    """The columns that are the prompt: one of PROMPT, and what belongs to it; nothing where none is there."""
    name = first_of(PROMPT, there, taken)
    if name is None:
        return ()
    further = FURTHER.get(name)
    return (name, further) if further in there and further not in taken and further is not None else (name,)


def proxies_in(there: Sequence[str], taken: set[str]) -> tuple[str, ...]:
    """The proxies: all whose names begin alike, such as proxy_1 and proxy_2, or the first that is one of PROXY."""
    for beginning in BEGINNINGS:
        alike = [name for name in there if f"{name.lower()}_".startswith(beginning) and name not in taken]
        if alike:
            return tuple(alike)
    name = first_of(PROXY, there, taken)
    return () if name is None else (name,)


def first_of(names: Sequence[str], there: Sequence[str], taken: set[str]) -> str | None:
    """The first of `names`, or of their plurals, that is there and not taken; capitals do not count."""
    known = {name.lower(): name for name in reversed(there) if name not in taken}
    return next((known[each] for name in names for each in (name, f"{name}s") if each in known), None)


def missing(what: str, names: Sequence[str], there: Sequence[str], source: str) -> str:
    """What is said where no column is what is needed."""
    shown = ", ".join(there[:SHOWN]) + (", …" if len(there) > SHOWN else "")
    near = [found for name in names for found in difflib.get_close_matches(name, there, n=1, cutoff=0.7)]
    hint = f"; if it is {near[0]}, say --{what} {near[0]}" if near else f"; name it with --{what}"
    known = f"{', '.join(names)}"
    return f"{source}: has no {what} column ({known}); it has {shown or 'no columns'}{hint}"


def nearest(word: str, choices: Sequence[str]) -> str:
    """A closing clause with the choice that is most like the word, or with some of them."""
    found = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    if found:
        return f"; did you mean {found[0]}?"
    return f"; it has {', '.join(choices[:SHOWN])}{', …' if len(choices) > SHOWN else ''}"
