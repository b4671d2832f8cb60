"""Text-to-audio systems against each other: a judge's scores of the same prompts."""
