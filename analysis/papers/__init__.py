"""Published experiments and their claims, one module a paper. To add a claim, write a function and name it there."""

from analysis.claim import Paper
from analysis.papers.coste import COSTE
from analysis.papers.gao import GAO
from analysis.papers.gpo import GPO
from analysis.papers.neighbours import NEIGHBOURS
from analysis.papers.rafailov import RAFAILOV

PAPERS: dict[str, Paper] = {
    "gpo": GPO,
    "gao": GAO,
    "rafailov": RAFAILOV,
    "coste": COSTE,
    "neighbours": NEIGHBOURS,
}
