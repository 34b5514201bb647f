"""Scores of pairs: how much each is likely to lower the probability of its own chosen response."""
