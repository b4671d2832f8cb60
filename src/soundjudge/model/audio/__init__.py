"""Encoders of sound for the language model, behind one protocol."""
