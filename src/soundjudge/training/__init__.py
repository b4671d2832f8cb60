"""How each model learns: one optimizer loop, and one recipe a file."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
