"""Embeddings of very many clips and texts by one CLAP."""
