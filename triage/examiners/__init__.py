"""Bytes, names and artefacts to findings."""
