"""Copies users' intact files out, durable and verified, as a BagIt bag."""
