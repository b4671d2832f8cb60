"""Targets of all rated pairs, for the last fit."""
