"""Tests of ``init_bench.book``."""
