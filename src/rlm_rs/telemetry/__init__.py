"""What operators see: structured logs and Prometheus metrics. Never document text, prompts or keys."""
