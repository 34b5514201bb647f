"""What KL, gold, win rates and best-of-n are: pure functions of arrays."""
