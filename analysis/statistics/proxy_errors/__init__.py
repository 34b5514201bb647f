"""What the law of a proxy's error does to gold, under each divergence."""
