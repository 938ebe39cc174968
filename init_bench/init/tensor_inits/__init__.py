"""Fill one tensor by its shape."""
