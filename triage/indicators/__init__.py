"""Loads indicator sets and allow-lists with their provenance; the data lies beside, not in code."""
