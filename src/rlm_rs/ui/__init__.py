"""The web UI as built from `ui/`, and the self-contained report made of the same parts."""
