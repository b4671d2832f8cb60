"""How a stage runs: its device, its work folder, its files written whole or not at all."""
