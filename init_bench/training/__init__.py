"""Grids: cells, chunks, training, storage and results."""
