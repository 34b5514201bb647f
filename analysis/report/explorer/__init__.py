"""What the controls of a page choose from: the numbers of every policy, and what it says."""
