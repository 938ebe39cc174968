"""Compare initialisers: pairs, draws, training, timing, and the verdicts on them."""
