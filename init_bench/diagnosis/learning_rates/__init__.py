"""Learning rates that a start allows: short trials, and what the curvature says beside them."""
