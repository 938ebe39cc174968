"""Tests of ``init_bench.init.graph``."""
