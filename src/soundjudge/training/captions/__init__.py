"""Captions that a trained model generates, compared with reference captions."""
