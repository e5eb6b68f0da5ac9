"""Adapters to model providers. Each module is imported only when its provider is used."""
