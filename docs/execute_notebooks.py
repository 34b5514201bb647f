"""Execute the notebooks of the documentation, and write each as a page: `python docs/execute_notebooks.py [NAME …]`.

They are kept as text in docs/notebooks/, in jupytext's percent format. The pages, with what the cells printed and drew,
lie beside them and are not kept: whoever builds the site executes the notebooks first. An error in a cell, or a user
warning, is one of this command. It prints the seconds that each took.
"""

import os
import sys
import time
from pathlib import Path

import jupytext
from nbclient import NotebookClient
from nbconvert.exporters import MarkdownExporter

NOTEBOOKS = Path(__file__).resolve().parent / "notebooks"
RESOURCES = {"metadata": {"path": str(NOTEBOOKS.parents[1])}}  # where they run
TIMEOUT = 600  # seconds of a cell


def execute(source: Path, folder: Path) -> float:
    """Write the page of a notebook, NAME.md with pictures in NAME_files/, into a folder; the seconds that it took."""
    began = time.perf_counter()
    notebook = jupytext.read(source)
    NotebookClient(notebook, timeout=TIMEOUT, kernel_name="python3", resources=RESOURCES).execute()
    text, resources = MarkdownExporter().from_notebook_node(
        notebook, resources={"output_files_dir": f"{source.stem}_files", "unique_key": source.stem}
    )
    (folder / f"{source.stem}_files").mkdir(exist_ok=True)
    for name, content in resources["outputs"].items():
        (folder / name).write_bytes(content)
    (folder / f"{source.stem}.md").write_text(text, encoding="utf-8")
    return time.perf_counter() - began


def main(names: list[str]) -> None:
    """Execute the notebooks of these names, or all."""
    os.environ["PYTHONWARNINGS"] = "error::UserWarning"
    for source in sorted(NOTEBOOKS.glob("*.py")):
        if not names or source.stem in names:
            sys.stdout.write(f"{source.stem}: {execute(source, NOTEBOOKS):.0f} s\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
