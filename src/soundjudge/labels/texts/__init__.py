"""Texts of captions against those of rated pairs."""
