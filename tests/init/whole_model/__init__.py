"""Tests of ``init_bench.init.whole_model``."""
