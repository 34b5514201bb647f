"""Stacks of small transformers as one program."""
