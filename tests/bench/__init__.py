"""Benchmarks: ratios of commands run alternately on one machine, never part of the tests."""
