"""Figures of what is optimized against proxies."""
