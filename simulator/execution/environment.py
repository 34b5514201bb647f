"""How a process of the command begins: one thread for each library, and imports that are not searched for garbage."""

import gc
import os

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def begin_importing() -> None:
    """Before anything heavy is imported. Sums must not depend on how many cores there are, and nothing that is imported
    is garbage: to look for it takes a sixth of the time.
    """
    os.environ.update(ONE_THREAD)
    gc.disable()


def end_importing() -> None:
    """Look for garbage from now on, among what is made from now on."""
    gc.freeze()
    gc.enable()
