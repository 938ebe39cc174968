"""Which known rule a parameter looks like: every one that could have drawn its values."""

from init_bench.diagnosis.recognition.matching import looks_like

__all__ = ["looks_like"]
