"""Cells of one cohort → their results. The caller never chooses how."""

from init_bench.engine.chunk import Tick, check, train_chunk

__all__ = ["Tick", "check", "train_chunk"]
