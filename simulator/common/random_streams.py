"""Named, independent random streams.

Every random draw of an experiment comes from a stream that is named by a seed and a purpose, such as
`stream(3, "pairs")`. Streams with different names are statistically independent, and a stream's numbers
depend on nothing but its name: not on the order of draws, on other runs, or on the device. Numpy draws
them all (Philox, keyed by a hash of the name), so that a GPU run sees the same data as a CPU run.
"""

import hashlib

import numpy as np


def random_stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """The generator named by `seed` and `purpose`, at its beginning."""
    digest = hashlib.sha256(repr((seed, *purpose)).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
