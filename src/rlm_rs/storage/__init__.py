"""Adapters for what lasts: the journal, the catalog and blobs."""
