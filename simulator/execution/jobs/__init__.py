"""Jobs: what a worker is given at once, what it does with it, and what is tried after one failed."""
