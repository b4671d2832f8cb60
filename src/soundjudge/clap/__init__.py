"""Text and sound in one space: CLAP encoders and the models built on their cosine."""

from soundjudge import torchaudio_shim

torchaudio_shim.install_shim()
