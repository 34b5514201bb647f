"""report.html: the page that one opens from a result directory.

    from analysis.report import write_report
    write_report("results/quickstart")

One file that needs no network and no server. To show something else on it: numbers are made in a module here, words
and places stand in template.html, and page.js draws what the chosen controls say.
"""

from pathlib import Path


def write_report(folder: str | Path) -> Path:
    """Write report.html of a result directory, of a sweep that ended or still runs; its path. Raises ResultsError.

    The same records and figures give the same bytes.
    """
    from analysis.report.page import prepare_page

    return prepare_page(Path(folder)).write()
