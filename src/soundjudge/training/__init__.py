"""How each model learns: one optimiser loop, and one recipe a file."""
