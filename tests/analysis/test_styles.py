"""Every objective has a look of its own in figures."""

import simulator as sim
from analysis.figures.style import loss_styles


def test_no_two_objectives_look_alike() -> None:
    styles = loss_styles(sim.OBJECTIVES)
    looks = [(style["color"], str(style["linestyle"]), style["marker"]) for style in styles.values()]
    assert len(set(looks)) == len(sim.OBJECTIVES)
    without_dashes = [(style["color"], style["marker"]) for style in styles.values()]
    assert len(set(without_dashes)) == len(sim.OBJECTIVES)
