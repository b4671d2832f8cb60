"""Trainings: one optimizer loop, and one training story per file."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
