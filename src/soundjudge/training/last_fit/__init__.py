"""Trainings on all rated pairs, where nothing is left to validate on."""
