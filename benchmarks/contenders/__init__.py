"""What is timed: our engine, TRL and loops written by hand, on cases of several sizes."""
