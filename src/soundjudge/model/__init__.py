"""The audio language model: sound to audio tokens, tokens and text to a score."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
