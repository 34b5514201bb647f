"""Which gold rewards and features are the user's own, by their names in a sweep file, and where their code is found.

mine.py:reward    a function in a Python file; see simulator/own_rewards/function.py
hf:FOLDER         a sequence classifier of Hugging Face transformers; see simulator/own_rewards/classifier.py
given:reward      a function that was given in Python
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from simulator.user_code.loading import UserFunction, is_own

CLASSIFIER, GIVEN = "hf:", "given:"
KEY = "gold.reward = "
FEATURES_KEY = "policy.features = "  # a function in a Python file alone; see simulator/own_rewards/features.py


@dataclass(frozen=True, kw_only=True)
class CodeSource:
    """Where code and models of the user's own are found.

    base_folder: where files are looked up first. given: functions that have no file, by their names.
    """

    base_folder: Path | None = None
    given: Mapping[str, UserFunction] = field(default_factory=dict)


def is_own_reward(name: str) -> bool:
    """Whether a gold reward is the user's own, by its name."""
    return is_own(name) or (name.startswith((CLASSIFIER, GIVEN)) and not name.endswith(":"))


def plain_name(name: str) -> str:
    """The name of a gold reward or features of the user's own, the same on every system: run_ids follow from it."""
    if name.startswith(GIVEN):
        return name
    head = CLASSIFIER if name.startswith(CLASSIFIER) else ""
    return head + os.path.normpath(name.removeprefix(head)).replace(os.sep, "/")
