"""Initialisers that see the structure of a model."""
