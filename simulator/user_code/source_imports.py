"""Imports from a folder of the user's, always from source, and forgotten afterwards.

Python keeps compiled code beside a file, and trusts it where the file has the same length and the same second as when
it was compiled. A file that is changed twice within a second would then be run as it was before, and recorded as it is.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

from simulator.common.errors import ConfigError

PACKAGES = ("simulator", "gold_rewards", "analysis")


class FromSource(SourceFileLoader):
    """A loader that neither reads nor writes compiled code."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of a module, compiled now."""
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


@contextmanager
def importing_beside(path: Path) -> Iterator[list[Path]]:
    """Modules beside a file can be imported by it, and are forgotten afterwards; what was imported is listed."""
    before: set[str] = set(sys.modules)
    found: list[Path] = []

    def finder(entry: str) -> FileFinder:
        if not is_user_file(Path(entry) / "any.py", path):
            raise ImportError(f"{entry} is not beside {path}")
        return FileFinder(entry, (ExtensionFileLoader, EXTENSION_SUFFIXES), (FromSource, SOURCE_SUFFIXES))

    forget_finders(path)
    sys.path_hooks.insert(0, finder)
    sys.path.insert(0, str(path.parent))
    try:
        yield found
    finally:
        if finder in sys.path_hooks:
            sys.path_hooks.remove(finder)
        forget_finders(path)
        if str(path.parent) in sys.path:
            sys.path.remove(str(path.parent))
        for name in set(sys.modules) - before:
            file = Path(getattr(sys.modules[name], "__file__", None) or sys.prefix).resolve()
            if is_user_file(file, path):
                found.append(file)
                del sys.modules[name]
    for file in found:
        if (first := file.relative_to(path.parent).parts[0].removesuffix(".py")) in PACKAGES:
            raise ConfigError(f"{file}: has the name of our own package {first}, which it would hide; rename it")


def forget_finders(path: Path) -> None:
    """Let Python look anew at what lies beside a file."""
    for entry in list(sys.path_importer_cache):
        if is_user_file(Path(entry) / "any.py", path):
            del sys.path_importer_cache[entry]


def is_user_file(file: Path, path: Path) -> bool:
    """Whether a file lies beside `path`, and is not what an environment there has installed."""
    installed = Path(sys.prefix).resolve() in file.parents or "site-packages" in file.parts
    return path.parent in file.parents and file != path and not installed
