"""Train one chunk of cells and return what was measured."""
