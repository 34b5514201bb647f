"""The figures by what they show, as tests go through them."""

from analysis.figures.drawing import kinds_showing

NOT_ALWAYS = ("neighbours", "length", "peaks_over_beta")  # drawn where there is such; with tests of their own
FIGURES = {name: kind.draw for name, kind in kinds_showing("point").items() if name not in NOT_ALWAYS}
TOGETHER = {name: (kind.applies, kind.draw) for name, kind in kinds_showing("pairs").items()}
APART = ("goodhart", "rounds")
AGAINST = {name: (kind.applies, kind.draw) for name, kind in kinds_showing("proxies").items() if name not in APART}
