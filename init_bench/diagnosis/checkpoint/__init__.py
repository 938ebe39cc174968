"""Audit stored parameters: which rule drew them, and what changed between two states."""
