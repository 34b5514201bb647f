"""Published orders and what stands for them here, a module a paper; analysis/published/ordering.py says how."""
