"""Tests of ``init_bench.hooks``."""
