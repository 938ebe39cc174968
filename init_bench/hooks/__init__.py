"""What is done to a running module: hooks, names, batch dimension, preserved state."""
