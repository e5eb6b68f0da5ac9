"""The HTTP API: routes over the orchestrator's functions. Knows no adapter."""
