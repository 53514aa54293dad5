"""Offline forensic triage of WannaCry-class ransomware on NTFS volumes, read-only."""

__version__ = "0.1.0"
