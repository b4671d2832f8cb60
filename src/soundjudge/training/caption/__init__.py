"""The first training of the language model, and the captions that it then generates."""
