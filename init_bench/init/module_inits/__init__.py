"""Fill a whole model by its structure."""
