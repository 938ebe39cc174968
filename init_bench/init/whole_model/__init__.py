"""Fill a whole model and report what was done to each parameter."""
