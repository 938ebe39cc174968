"""Train grids: cells, chunks, engine, storage and results."""
