"""Where files that a user names lie: as they are named, or below a folder that holds copies of them.

On a machine of a cluster the copies lie below the folder that USER_FILES names, each at its whole path. A path that
does not begin at the root is looked up from the working folder there as here.
"""

import os
from pathlib import Path

USER_FILES = "SIMULATOR_USER_FILES"


def user_path(name: str | Path) -> Path:
    """The place of a file that a user names."""
    path, below = Path(name), os.environ.get(USER_FILES)
    return Path(below, *path.parts[1:]) if below and path.is_absolute() else path
