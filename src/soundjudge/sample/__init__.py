"""The built-in sample: small corpora in the layouts of the official ones."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
