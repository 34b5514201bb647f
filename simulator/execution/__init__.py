"""Who runs a stack: a whole sweep, its worker processes, its progress, and what it will take."""
