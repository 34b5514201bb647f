"""Best-of-n on real models' data: from a table of generated responses with proxy and gold scores, without training."""
