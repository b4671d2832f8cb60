"""The built-in sample: small corpora and checkpoints in the layouts of the official ones."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
