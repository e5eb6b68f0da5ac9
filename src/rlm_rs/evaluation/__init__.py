"""Evaluating executions: scores against a reference answer, a judge model, and the direct baseline."""
