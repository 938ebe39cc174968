"""The training engine: one chunk of cells in, their results out."""
