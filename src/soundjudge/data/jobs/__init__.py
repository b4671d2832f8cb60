"""Long jobs in chunks, in this process or on a Ray cluster."""
