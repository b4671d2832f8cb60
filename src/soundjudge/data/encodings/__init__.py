"""What encoders made of clips and texts, read again by whoever needs it."""
