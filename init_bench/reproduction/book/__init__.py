"""The book's section: its figures, its claims, and what was measured for each."""
