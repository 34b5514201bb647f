"""report.html: the page that one opens from a result directory.

    from analysis.report import write_report
    write_report("results/quickstart")

One file that needs no network and no server. To show something else on it: numbers are made in a module here, words
and places stand in template.html, and page.js draws what the chosen controls say.
"""

from analysis.report.page import prepare_page, write_report

__all__ = ["prepare_page", "write_report"]
