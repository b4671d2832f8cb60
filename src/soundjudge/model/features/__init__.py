"""The audio encoder's features of all clips, stored once for every language model."""
