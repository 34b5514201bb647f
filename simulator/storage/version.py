"""The version of the installed distribution."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version


@cache
def installed_version() -> str:
    """The version, "not installed", or "unreadable": no sweep ends because its label cannot be read. Read once."""
    try:
        return version("alignment-simulator") or "unreadable"
    except PackageNotFoundError:
        return "not installed"
    except (OSError, TypeError, KeyError):  # which of them depends on the version of Python
        return "unreadable"
