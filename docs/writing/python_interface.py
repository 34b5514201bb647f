"""The public names of Python, from what the packages say is public."""

from collections.abc import Iterator
from importlib import import_module

from docs.writing.markdown import page

PACKAGES = {  # and what is said of each
    "simulator": "The experiment: worlds, preferences, training, measurement, whole sweeps. `import simulator` is "
    "fast: torch is imported when it is first needed.",
    "analysis": "From records to knowledge. Nothing here trains or imports torch: all that is known of a sweep stands "
    "in its tables.",
    "gold_rewards": "What is good: gold reward functions, gold on its scale, and how gold labels pairs.",
}


def python_page() -> str:
    """docs/reference/python.md."""
    return page(
        "# Python",
        "The list of names is written by `python docs/reference.py`, and what is said of each is its docstring. What "
        "is not on this page is not public, and may change with any version. Read it on the site, which has signatures "
        "and docstrings (`pip install -e '.[docs]' && mkdocs serve`), or use `help(simulator.train)`.",
        *(part for package, about in PACKAGES.items() for part in package_section(package, about)),
    )


def package_section(package: str, about: str) -> Iterator[str]:
    """What is said of a package and of its names; those that begin with small letters first are functions."""
    yield f"## `{package}`"
    yield about
    for name in public_names(package):
        yield f"::: {package}.{name}"


def public_names(package: str) -> list[str]:
    """The names that a package says are public, but those of the language, such as `__version__`."""
    return [name for name in import_module(package).__all__ if not name.startswith("__")]
