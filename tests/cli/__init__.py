"""Tests of ``init_bench.cli``."""
