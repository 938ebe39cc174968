"""Initializers that see a batch and its loss."""
