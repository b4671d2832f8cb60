"""Scores with one encoder's features shuffled, as predict passes them to evaluate."""
