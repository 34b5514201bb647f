"""Which pairs lower the probability of their own chosen response, and what says so beforehand."""
