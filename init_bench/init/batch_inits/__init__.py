"""Initialisers that see a batch."""
