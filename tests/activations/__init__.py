"""Tests of ``init_bench.activations``."""
