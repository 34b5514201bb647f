"""Trained networks as files: policies, and proxies."""
