"""What sweeps found, written into the pages that explain them: between two marks, as the headline of their records.

<!-- found: mass -->
…
<!-- end -->
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]

SWEEPS = {  # each with the figure that its page shows
    "goodhart": "goodhart",
    "mass": "displacement",
    "length": "length-gold_length-0-length_bias-1",
    "classes": "classes",
    "trl": "neighbours-train_reference_sync-0",
}
FOUND = ("quickstart", *SWEEPS)  # whose headline stands on a page
BLOCK = re.compile(r"<!-- found: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def block(name: str, found: Found) -> str:
    """The block of a sweep, from its headline and the code that made it."""
    lines = [f"- {sentence}" for sentence in found["headline"]]
    made = (
        f"*{found['runs']:,} runs. Written by `python docs/write.py` on {found['date']} (results "
        f"`{found['results_source']}`, verdicts `{found['verdicts_source']}`).*"
    )
    return "\n".join([f"<!-- found: {name} -->", *lines, "", made, "<!-- end -->"])


def with_found(text: str, found: Mapping[str, Found]) -> str:
    """A page with what sweeps found in its blocks. Raises KeyError for a block of a sweep that is not there."""
    return BLOCK.sub(lambda match: block(match[1], found[match[1]]), text)


def sweeps_in(text: str) -> Sequence[str]:
    """The sweeps that a page has blocks of."""
    return [match[1] for match in BLOCK.finditer(text)]
