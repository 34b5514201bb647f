"""Choosing beta, and when to stop, without gold: rules, how well they do in worlds they were not tuned on, advice."""
