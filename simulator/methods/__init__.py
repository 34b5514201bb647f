"""Methods: ways to make policies out of a reference. To add one, write its module and name it in METHODS."""

from simulator.methods.best_of_n import BEST_OF_N
from simulator.methods.gibbs import GIBBS
from simulator.methods.gpo import GPO
from simulator.methods.method import Method
from simulator.methods.rl import RL

METHODS: dict[str, Method] = {"gpo": GPO, "best_of_n": BEST_OF_N, "rl": RL, "gibbs": GIBBS}

__all__ = ["METHODS"]
