"""Scenes of real recordings, simulated listeners, and the upstream layouts around them."""
