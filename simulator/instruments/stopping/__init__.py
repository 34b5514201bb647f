"""What rules that choose beta without gold may look at: reward models that learned from the pairs of a run."""
