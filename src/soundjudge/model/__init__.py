"""The audio language model: sound to audio tokens, tokens and text to a score."""
