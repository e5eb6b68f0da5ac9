"""A client of the HTTP API, with the library's own names and results."""
