"""Finds volumes in evidence and reads NTFS: the only door to pytsk3."""
