"""What a reference learns to speak: a Markov grammar, or a text."""
