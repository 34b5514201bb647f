"""Figures of the instruments, a module each."""
