"""Gold rewards; every module here with GOLD_REWARD in it is found."""
