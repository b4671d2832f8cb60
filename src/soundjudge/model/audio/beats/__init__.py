"""BEATs: its spectrogram, its layers, its files."""
