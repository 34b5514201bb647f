"""Reward models that learn from gold's labels."""
