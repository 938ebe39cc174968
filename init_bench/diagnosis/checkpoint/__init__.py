"""Parameters as they are stored: which rule drew them, and what changed between two states."""
