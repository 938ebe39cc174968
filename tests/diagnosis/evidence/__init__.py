"""Tests of ``init_bench.diagnosis.evidence``."""
