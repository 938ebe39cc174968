"""Find the learning rates that a start allows, by short trials; report its curvature too."""
