"""The regret ledger: how much gold a trained policy falls short of the best at its KL, and what took it."""
