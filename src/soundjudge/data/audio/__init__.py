"""The only reader of sound files."""
