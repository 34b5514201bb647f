"""The version of the installed distribution."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    """The version, or "not installed"."""
    try:
        return version("alignment-simulator")
    except PackageNotFoundError:
        return "not installed"
