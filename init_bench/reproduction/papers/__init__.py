"""The papers behind the initialisers: their figures, their claims, and what was measured."""
