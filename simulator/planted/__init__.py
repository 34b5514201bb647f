"""Errors of a chosen law, of which proxies are made that nobody trained: proxy = gold + error.

To add a law, write a module with a LAW in simulator/planted/laws/; see law.py.
"""

from simulator.common.discovery import modules_in
from simulator.planted.law import ErrorLaw

ERROR_LAWS: dict[str, ErrorLaw] = {
    module.LAW.name: module.LAW for module in modules_in("simulator.planted.laws", first="gaussian")
}

__all__ = ["ERROR_LAWS"]
