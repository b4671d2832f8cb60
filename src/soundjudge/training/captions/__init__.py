"""Captions that a trained model generates, measured against people's."""
