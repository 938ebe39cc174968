"""Tests of ``init_bench.init.batch_inits``."""
