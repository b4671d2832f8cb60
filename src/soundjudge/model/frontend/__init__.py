"""The language model's window of sound and its number of audio tokens."""
