"""Which screening and which target serve given ratings, by held-out listeners."""
