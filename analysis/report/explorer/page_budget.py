"""How much of a sweep is on the page.

Where all of it is too much, details go in the order of LEVELS: responses and laws of further seeds, then checkpoints
along training, then further seeds altogether, and last whole combinations of further axes. What went is told.
"""

from dataclasses import dataclass

UNLIMITED = 10**9


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of a sweep is on the page: the most of each, and what a reader is told of the rest."""

    summaries: int = UNLIMITED  # seeds whose responses and laws are there
    prompts: int = UNLIMITED
    likely: int = 8  # responses to a prompt, of the policy's and the reference's likeliest each
    points: int = 60  # checkpoints of a path, and points of a frontier
    seeds: int = UNLIMITED  # seeds that can be chosen
    parts: int = UNLIMITED


LEVELS = (
    Level(),
    Level(summaries=2, points=40),
    Level(summaries=1, points=30),
    Level(summaries=1, points=24, seeds=16),
    Level(summaries=1, prompts=1, points=24, seeds=4),
    Level(summaries=1, prompts=1, likely=4, points=14, seeds=2),
    Level(summaries=0, prompts=1, likely=4, points=12, seeds=1),
    Level(summaries=0, prompts=1, likely=4, points=8, seeds=1, parts=400),
    Level(summaries=0, prompts=1, likely=4, points=8, seeds=1, parts=50),
)


def left_out(level: Level, *, parts: int, seeds: int, steps: int, summaries: bool) -> list[str]:
    """What a level leaves out of a sweep of so many combinations, seeds and checkpoints, in parts of a sentence."""
    said = []
    if parts > level.parts:
        said.append(f"only the first {level.parts} of {parts} combinations of settings can be chosen")
    if seeds > level.seeds:
        one = "the first seed" if level.seeds == 1 else f"the first {level.seeds} seeds"
        said.append(f"single runs are those of {one} of {seeds:,}, while means are over all")
    if summaries and level.summaries == 0:
        said.append("responses and laws of gold are left out")
    elif summaries and seeds > level.summaries:
        one = "the first seed" if level.summaries == 1 else f"the first {level.summaries} seeds"
        said.append(f"responses and single laws of gold are those of {one} of {seeds:,}")
    if summaries and level.summaries and level.prompts < UNLIMITED:
        said.append("responses are to one prompt")
    if steps > level.points:
        said.append(f"paths show {level.points} of {steps} checkpoints")
    return said
