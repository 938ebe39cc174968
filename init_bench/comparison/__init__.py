"""Compare initializers: pairs, draws, training, timing, and the verdicts on them."""
