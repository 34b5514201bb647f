"""Published experiments and their claims, one module a paper. To add a claim, write a function and name it there."""

from analysis.published.claim import Paper
from analysis.published.papers.coste import COSTE
from analysis.published.papers.gao import GAO
from analysis.published.papers.gpo import GPO
from analysis.published.papers.neighbours import NEIGHBOURS
from analysis.published.papers.rafailov import RAFAILOV

PAPERS: dict[str, Paper] = {
    "gpo": GPO,
    "gao": GAO,
    "rafailov": RAFAILOV,
    "coste": COSTE,
    "neighbours": NEIGHBOURS,
}
