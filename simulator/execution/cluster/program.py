"""Which program a process runs: what decides the numbers of a run beside its settings.

A node must have the same one as the machine that hands out stacks. Nothing heavy is imported, so that a node that
lacks something can say so.
"""

import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

MISSING = "none"


@dataclass(frozen=True, kw_only=True)
class Program:
    """The hash of our source, and the versions of Python and of the libraries that compute."""

    simulator: str
    python: str
    torch: str
    numpy: str


def version_of(package: str) -> str:
    """The version of an installed package, without what says how it was built; "none" where there is none."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return MISSING


def program_here() -> Program:
    """What this process runs."""
    from simulator.storage.provenance import source_hash

    return Program(
        simulator=source_hash(),
        python=".".join(platform.python_version_tuple()[:2]),
        torch=version_of("torch"),
        numpy=version_of("numpy"),
    )


def differences(there: Program, here: Program) -> list[str]:
    """What is other than here, for people; nothing where the programs are the same."""
    names = {"simulator": "the source of the simulator", "python": "Python"}
    found, expected = asdict(there), asdict(here)
    return [
        f"{names.get(name, name)} {found[name]} (here {expected[name]})"
        for name in expected
        if found[name] != expected[name]
    ]
