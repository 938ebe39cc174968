"""What a comparison of two initialisers is made of: pairs, draws, training, time, and judgement."""
