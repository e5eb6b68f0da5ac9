"""From executions to training data: traces as JSON lines, rows for trainers, and how good a policy is."""
