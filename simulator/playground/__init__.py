"""The playground: a world small enough to train in while one watches, in a page or by Python behind it."""
