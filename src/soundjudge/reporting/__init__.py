"""Numbers and pictures for people; no training depends on it."""
