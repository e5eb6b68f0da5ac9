"""Custom tools: where `core.ports.Tools` come from."""
