"""How much of a sweep is on the page.

Where all of it is too much, details go in the order of LEVELS: responses and laws of further seeds, then checkpoints
along training, then further seeds altogether, and last whole combinations of further axes. What went is told.
"""

from dataclasses import dataclass

MANY = 10**9


@dataclass(frozen=True, kw_only=True)
class Level:
    """How much of a sweep is on the page: the most of each, and what a reader is told of the rest."""

    portraits: int = MANY  # seeds whose responses and laws are there
    prompts: int = MANY
    likely: int = 8  # responses to a prompt, of the policy's and the reference's likeliest each
    points: int = 60  # checkpoints of a path, and points of a frontier
    seeds: int = MANY  # seeds that can be chosen
    parts: int = MANY


LEVELS = (
    Level(),
    Level(portraits=2, points=40),
    Level(portraits=1, points=30),
    Level(portraits=1, points=24, seeds=16),
    Level(portraits=1, prompts=1, points=24, seeds=4),
    Level(portraits=1, prompts=1, likely=4, points=14, seeds=2),
    Level(portraits=0, prompts=1, likely=4, points=12, seeds=1),
    Level(portraits=0, prompts=1, likely=4, points=8, seeds=1, parts=400),
    Level(portraits=0, prompts=1, likely=4, points=8, seeds=1, parts=50),
)


def left_out(level: Level, *, parts: int, seeds: int, steps: int, portraits: bool) -> list[str]:
    """What a level leaves out of a sweep of so many combinations, seeds and checkpoints, in parts of a sentence."""
    said = []
    if parts > level.parts:
        said.append(f"only the first {level.parts} of {parts} combinations of settings can be chosen")
    if seeds > level.seeds:
        one = "the first seed" if level.seeds == 1 else f"the first {level.seeds} seeds"
        said.append(f"single runs are those of {one} of {seeds}, while means are over all")
    if portraits and level.portraits == 0:
        said.append("responses and laws of gold are left out")
    elif portraits and seeds > level.portraits:
        one = "the first seed" if level.portraits == 1 else f"the first {level.portraits} seeds"
        said.append(f"responses and single laws of gold are those of {one} of {seeds}")
    if portraits and level.portraits and level.prompts < MANY:
        said.append("responses are to one prompt")
    if steps > level.points:
        said.append(f"paths show {level.points} of {steps} checkpoints")
    return said
