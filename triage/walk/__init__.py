"""Enumerates entries from the MFT, puts streams into disk order, reads each once."""
