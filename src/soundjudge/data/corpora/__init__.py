"""Upstream layouts to our tables: XACLE, AudioCaps, VGGSound; every clip is checked."""
