"""The figures by what they show, as tests go through them."""

from analysis.figures.drawing import kinds_showing

FIGURES = {name: kind.draw for name, kind in kinds_showing("point").items() if name != "neighbours"}
TOGETHER = {name: (kind.applies, kind.draw) for name, kind in kinds_showing("pairs").items()}
AGAINST = {name: (kind.applies, kind.draw) for name, kind in kinds_showing("proxies").items() if name != "goodhart"}
