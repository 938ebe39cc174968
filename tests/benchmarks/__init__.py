"""Tests of ``benchmarks``: what a command does that is not a measurement."""
