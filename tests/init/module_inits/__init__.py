"""Tests of ``init_bench.init.module_inits``."""
