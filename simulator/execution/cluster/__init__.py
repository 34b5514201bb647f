"""Stacks on a Ray cluster: what a node is given, what it does, and what comes back."""
