"""Tests of ``init_bench.training``."""
