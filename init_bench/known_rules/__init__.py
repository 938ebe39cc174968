"""Which known rule a parameter looks like: every one that could have drawn its values."""

from init_bench.known_rules.looks import looks_like

__all__ = ["looks_like"]
