"""Run somebody's model under hooks: track its layers, name them, restore its state."""
