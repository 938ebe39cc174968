"""Tests of ``init_bench.init.loss_inits``."""
