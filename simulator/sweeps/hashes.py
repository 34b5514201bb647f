"""The SHA-256 of texts and of the user's code, so that records never mix two of them."""

import hashlib
from collections.abc import Iterable

from simulator.common.errors import ConfigError
from simulator.languages.text import read_text
from simulator.settings.toml import SIZE_LIMIT
from simulator.sweeps.sweep import Sweep
from simulator.user_code.loading import is_own

TEXTS_LIMIT = 2**26  # bytes of all text files together


def check_text(sweep: Sweep, name: str, there: str) -> None:
    """Raises ConfigError where the SHA-256 of the text file `name`, `there`, is not what the sweep's `texts` says."""
    if name in sweep.texts and there != sweep.texts[name]:
        raise ConfigError(
            f"world.language.text = {name}: is not the file that this sweep is about (its SHA-256 is {there}, and "
            f"texts says {sweep.texts[name]}); bring that file back, or choose another --out"
        )


def with_hashes(sweep: Sweep, names: Iterable[str]) -> Sweep:
    """The sweep with the hashes of the text files of these names, and of the code of its losses.

    Raises ConfigError where one is not as it says.
    """
    found, size = {}, 0
    for name in dict.fromkeys(filter(None, names)):
        text = read_text(name)
        size += len(text)
        if size > TEXTS_LIMIT:
            raise ConfigError(
                f"world.language.text = {name}: all texts together must have at most {TEXTS_LIMIT:,} bytes"
            )
        found[name] = hashlib.sha256(text).hexdigest()
        check_text(sweep, name, found[name])
    hashed = sweep.model_copy(update={"texts": found, "code": code_of(sweep)})
    if (size := len(hashed.to_toml().encode())) > SIZE_LIMIT:
        raise ConfigError(
            f"[sweep]: with its defaults and hashes it has {size:,} bytes; at most {SIZE_LIMIT:,} can be kept"
        )
    return hashed


def code_of(sweep: Sweep) -> dict[str, str]:
    """The SHA-256 of the code that each loss of the user's own uses, by the name of the loss.

    Raises ConfigError where it is not what the sweep says.
    """
    found = {}
    for name in filter(is_own, sweep.sweep.loss):
        from simulator.objectives.own_loss import own_loss

        found[name] = there = own_loss(name, sweep.base_folder).function.code_hash
        if sweep.code.get(name, there) != there:
            raise ConfigError(
                f"sweep.loss = {name}: is not the code that this sweep is about (the SHA-256 of what it uses is "
                f"{there}, and code says {sweep.code[name]}); bring that code back, or choose another --out"
            )
    return found
