"""Tests of ``init_bench.reproduction.papers``."""
