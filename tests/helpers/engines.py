"""Whether the compiled engine is there: tests of it are skipped where the package was installed without a compiler."""

import pytest

from simulator.native import library

needs_engine = pytest.mark.skipif(library.find().library is None, reason=library.find().why)
