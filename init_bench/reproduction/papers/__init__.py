"""The papers behind the initializers: their figures, their claims, and what was measured."""
