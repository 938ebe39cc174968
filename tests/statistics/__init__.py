"""Tests of ``init_bench.statistics``."""
