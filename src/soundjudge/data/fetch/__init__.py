"""The catalog of weights and corpora, and how they get here."""
