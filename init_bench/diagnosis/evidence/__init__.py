"""The tables that verdict rules read."""
