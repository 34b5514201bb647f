"""The bins of gold on the page."""

import numpy as np

from analysis.report.explorer.policy_summaries import WIDTH
from simulator.measurement.policy_summary import EDGES


def test_bins_of_gold_are_those_of_the_records() -> None:
    np.testing.assert_allclose(np.diff(EDGES), WIDTH)
