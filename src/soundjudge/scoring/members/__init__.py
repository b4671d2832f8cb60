"""Trained checkpoints as members of the judge: records, one loader, raw scores."""
