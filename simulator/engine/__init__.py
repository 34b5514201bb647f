"""The training engine: a stack of runs, taken some steps further, measured, saved and resumed."""
