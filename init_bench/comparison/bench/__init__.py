"""Compare all initializers on several tasks under one protocol: ``init-bench bench``."""
