"""Fill a whole model by what a batch does in it."""
