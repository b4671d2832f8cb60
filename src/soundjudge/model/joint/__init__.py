"""A language model's own score and its captioner's likelihood in one score."""
