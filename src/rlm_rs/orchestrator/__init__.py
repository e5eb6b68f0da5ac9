"""The algorithms, written against the ports."""
