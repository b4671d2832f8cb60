"""Scenes of real recordings, simulated ratings of them, and the upstream corpus layouts."""
