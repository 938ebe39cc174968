"""Sums over one layer's values: compiled loops on the CPU, torch's operations elsewhere."""
