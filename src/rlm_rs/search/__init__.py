"""Search engines behind `core.ports.SearchIndex`, and meaning (embeddings) beside words."""
