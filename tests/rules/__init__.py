"""Inert samples for the YARA rules."""
