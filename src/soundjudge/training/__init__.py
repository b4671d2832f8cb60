"""Trainings: one optimizer loop, and a folder per training."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
