"""Bytes to canonical text, structure and offsets; and from what a user names to sources."""
