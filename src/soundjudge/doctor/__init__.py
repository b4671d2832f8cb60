"""What a params.yaml needs, what of it is there, and where to get the rest."""
