"""The SHA-256 of texts and of the user's code, so that records never mix two of them."""

import hashlib
from collections.abc import Iterable

from simulator.common.errors import ConfigError
from simulator.languages.text import read_text
from simulator.settings.data_table import file_of
from simulator.settings.toml import SIZE_LIMIT
from simulator.sweeps.own_code import hash_of_code, own_code
from simulator.sweeps.sweep import Sweep

TEXTS_LIMIT = 2**26  # bytes of all text files together


def check_text(sweep: Sweep, name: str, there: str) -> None:
    """Raises ConfigError where the SHA-256 of the text file `name`, `there`, is not what the sweep's `texts` says."""
    if name in sweep.texts and there != sweep.texts[name]:
        raise ConfigError(
            f"world.language.text = {name}: is not the file that this sweep is about (its SHA-256 is {there}, and "
            f"texts says {sweep.texts[name]}); bring that file back, or choose another --out"
        )


def with_hashes(sweep: Sweep, names: Iterable[str]) -> Sweep:
    """The sweep with the hashes of the text files of these names, and of the code of the user's own in it.

    Raises ConfigError where one is not as it says.
    """
    found, size = {}, 0
    for name in pair_files(sweep):
        found[name] = hash_of_pairs(sweep, name)
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


def pair_files(sweep: Sweep) -> list[str]:
    """The files of pairs of the user's own that a sweep names."""
    return sorted({file for file in sweep.sweep.axes.get("data.file", (sweep.data.file,)) if file})


def hash_of_pairs(sweep: Sweep, name: str) -> str:
    """The SHA-256 of a file of pairs. Raises ConfigError where it is not what the sweep's `texts` says."""
    try:
        with file_of(name).open("rb") as file:
            there = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"data.file = {name}: cannot be read ({error.strerror})") from None
    if sweep.texts.get(name, there) != there:
        raise ConfigError(
            f"data.file = {name}: is not the file that this sweep is about (its SHA-256 is {there}, and texts says "
            f"{sweep.texts[name]}); bring that file back, or choose another --out"
        )
    return there


def code_of(sweep: Sweep) -> dict[str, str]:
    """The SHA-256 of the code that each loss, gold reward and features of the user's own use, by its name.

    Raises ConfigError where it is not what the sweep says.
    """
    found = {}
    for code in own_code(sweep):
        found[code.name] = there = hash_of_code(code, sweep)
        if sweep.code.get(code.name, there) != there:
            raise ConfigError(
                f"{code.key}{code.name}: is not the code that this sweep is about (the SHA-256 of what it uses is "
                f"{there}, and code says {sweep.code[code.name]}); bring that code back, or choose another --out"
            )
    return found
