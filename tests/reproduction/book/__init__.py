"""Tests of ``init_bench.reproduction.book``."""
