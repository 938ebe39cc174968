"""Initialisers that see one tensor."""
