"""Small encoders in the official formats, trained on the sample's recordings."""
