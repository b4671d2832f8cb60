"""Frozen CLAP features to a score, by a kernel machine."""
