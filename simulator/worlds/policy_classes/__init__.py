"""Classes of policies: how the law of a policy follows from its row of parameters."""
