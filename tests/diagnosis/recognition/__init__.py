"""Tests of ``init_bench.diagnosis.recognition``."""
