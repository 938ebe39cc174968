"""Tests of ``init_bench.init.tensor_inits``."""
