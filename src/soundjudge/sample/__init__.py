"""The built-in sample: what a user would download, in small."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
