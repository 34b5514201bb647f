"""Which labelled pairs cost gold: exact leave-one-out, and the scores that are said to find such pairs without it."""
