"""Text and sound in one space: CLAP encoders and the models built on their cosine."""
