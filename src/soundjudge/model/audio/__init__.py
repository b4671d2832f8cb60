"""Audio encoders of the language model, behind one protocol."""
