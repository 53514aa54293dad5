"""Findings and gaps to a verdict with its reasons: pure functions."""
