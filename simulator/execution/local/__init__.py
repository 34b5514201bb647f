"""Stacks on this machine: worker processes that hand records to the folder themselves."""
