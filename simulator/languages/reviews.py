"""A text that ships: 5,000 short film reviews, one a line, some glad, some cross, most a little of both.

`world.language.text = "shipped:reviews"`. The reviews are made here, the same on every machine, from a grammar of their
own: words were chosen so that a lexicon of sentiment knows many of them, and so that a small network learns to spell
them.
"""

from functools import cache
from random import Random

NAME = "shipped:reviews"
REVIEWS = 5_000

SUBJECTS = (
    *("film", "movie", "plot", "story", "cast", "script", "music", "score", "ending", "opening", "acting", "pace"),
    *("hero", "villain", "dialogue", "humour", "camera work", "second half", "first act", "last scene"),
)
GOOD = (
    *("good", "great", "lovely", "funny", "brilliant", "charming", "clever", "beautiful", "wonderful", "perfect"),
    *("strong", "fresh", "smart", "amazing", "delightful", "superb", "fun", "warm", "exciting", "excellent"),
)
BAD = (
    *("bad", "dull", "boring", "weak", "awful", "terrible", "stupid", "horrible", "poor", "sad", "lame", "ugly"),
    *("annoying", "silly", "tedious", "lazy", "dreadful", "painful", "pathetic", "empty"),
)
PLAIN = ("long", "short", "quiet", "slow", "loud", "old", "new", "simple", "dark", "odd", "familiar", "plain")
DEGREES = ("", "", "", "very ", "really ", "quite ", "so ", "rather ", "a bit ", "not ")
LIKING = ("i loved", "i liked", "i enjoyed", "we admired", "i will remember")
DISLIKING = ("i hated", "i disliked", "i regret", "we suffered through", "i will forget")
MARKS = (".", ".", ".", "!", ", really.")
MOODS = (0.9, 0.7, 0.5, 0.3, 0.1)  # how likely a judgement is to be a glad one


def judgement(rng: Random, mood: float) -> str:
    """A clause that judges something."""
    subject = rng.choice(SUBJECTS)
    glad = rng.random() < mood
    kind = rng.random()
    if kind < 0.2:
        return f"{rng.choice(LIKING if glad else DISLIKING)} the {subject}"
    if kind < 0.35:
        return f"the {subject} was {rng.choice(DEGREES[:-1])}{rng.choice(PLAIN)}"
    return f"the {subject} was {rng.choice(DEGREES)}{rng.choice(GOOD if glad else BAD)}"


def review(rng: Random) -> str:
    """Two to four clauses, as one line."""
    mood, parts = rng.choice(MOODS), []
    for _ in range(rng.randint(2, 3)):
        clause = judgement(rng, mood)
        if rng.random() < 0.3:
            clause += f"{rng.choice((', and ', ', but '))}{judgement(rng, mood)}"
        parts.append(clause + rng.choice(MARKS))
    return " ".join(parts)


@cache
def reviews() -> bytes:
    """All of them, as UTF-8."""
    rng = Random(2026)  # its integers and choices are the same in every version of Python since 3.2
    return "".join(f"{review(rng)}\n" for _ in range(REVIEWS)).encode()
