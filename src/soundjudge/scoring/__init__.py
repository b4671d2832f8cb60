"""From members and pairs to scores, from scores to evidence, and the public judge."""
