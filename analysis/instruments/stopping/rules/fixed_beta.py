"""Always the same beta, at the end of training: with what others are compared."""

from analysis.instruments.stopping.rule import Rule, closest_at_end

RULE = Rule(
    name="fixed beta",
    about="beta {value} at the end of training, in every world",
    needs=(),
    numbers=(0.01, 0.025, 0.06, 0.15, 0.4, 1.0, 2.5, 6.0),
    choose=lambda candidates, value: closest_at_end(candidates, "beta", value),
)
