"""Write the pages of the reference that follow from the code: `python docs/reference.py`.

It takes a few seconds and trains nothing. Tests fail where a page and the code part. Results and pictures are written
by docs/write.py, which writes these pages, too.
"""

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from docs.writing.columns import columns_page
from docs.writing.command_line import command_line_page
from docs.writing.objectives import objectives_page
from docs.writing.python_interface import python_page
from docs.writing.sweep_file import sweep_file_page

FOLDER = ROOT / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "columns.md": columns_page,
    "command_line.md": command_line_page,
    "objectives.md": objectives_page,
    "python.md": python_page,
    "sweep_file.md": sweep_file_page,
}


def write_reference() -> None:
    """Write all of them."""
    for name, text in PAGES.items():
        (FOLDER / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write_reference()
