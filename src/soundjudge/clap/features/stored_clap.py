"""CLAPs that read what `clap_features` stored, and encode what it did not.

Of a CLAP that runs part by part the towers' outputs are stored, which its projections make
embeddings of, as downloaded and tuned; of every other CLAP the embeddings. A folder has the CLAP's
name, which changes with its weights, so that no other CLAP's rows are read.
B batch, T samples at 16 kHz, H tower width, E embedding dimensions.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.m2d import M2dClap
from soundjudge.clap.encoders.msclap import MsClap
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.encodings.stored_encodings import StoredEncodings, clip_finder, same_text

TunableClap = TransformersClap | M2dClap | MsClap | TowersClap
# Below data/clap_features: the CLAP that tune_clap starts from, and those of regress and fusion
# beside it. Apart, so that another one of these does not tune the first again.
FIRST, EXTRA = "first", "extra"
CLIPS, TEXTS = "clips", "texts"
Encode = Callable[[Sequence[str]], Tensor]  # items -> (B, ...)
Waves = Sequence[NDArray[np.float32]]


def runs_in_parts(clap: ClapEncoder) -> TypeGuard[TransformersClap | MsClap | TowersClap]:
    """Whether towers and projections, one after the other, are certain to make up the whole.

    Of M2D-CLAP `check_parts` alone knows, copy by copy.
    """
    return isinstance(clap, TransformersClap | MsClap | TowersClap)


def encode_sounds(clap: ClapEncoder, waves: Waves) -> Tensor:
    """What is stored of sounds: tower outputs (B, H), or embeddings (B, E)."""
    if runs_in_parts(clap):
        return clap.pool_mels(clap.log_mel(waves))
    return clap.embed_sounds(waves)


def encode_texts(clap: ClapEncoder, texts: Sequence[str]) -> Tensor:
    """What is stored of texts: tower outputs (B, H), or embeddings (B, E)."""
    return clap.pool_texts(texts) if runs_in_parts(clap) else clap.embed_texts(texts)


def clap_encoders(claps: Sequence[ClapEncoder], clips: ClipStore) -> dict[str, Encode]:
    """What encodes clips, by their ids, and texts, by the folder of their rows.

    The first of the CLAPs is that of encoders.clap. Equal ones are one.
    """
    encoders: dict[str, Encode] = {}
    for name, clap in {clap.name(): clap for clap in reversed(claps)}.items():
        folder = f"{FIRST if clap is claps[0] else EXTRA}/{name}"
        encoders[f"{folder}/{CLIPS}"] = partial(_encode_clips, clap, clips)
        encoders[f"{folder}/{TEXTS}"] = partial(encode_texts, clap)
    return encoders


def _encode_clips(clap: ClapEncoder, clips: ClipStore, clip_ids: Sequence[str]) -> Tensor:
    return encode_sounds(clap, [clips.wave(clip_id) for clip_id in clip_ids])


class StoredClap:
    """A CLAP with the features that are stored of it, as a `ClapEncoder`."""

    def __init__(
        self, clap: ClapEncoder, device: torch.device, clips: ClipStore, root: Path
    ) -> None:
        self.clap, self.device = clap, device
        self.sample_rate = clap.sample_rate
        self.window_seconds = clap.window_seconds
        self.dimensions = clap.dimensions
        self._name = clap.name()
        folders = [root / part / self._name for part in (FIRST, EXTRA)]
        folder = next((one for one in folders if one.is_dir()), folders[0])
        self._sounds = StoredEncodings(folder / CLIPS, clip_finder(clips))
        self._texts = StoredEncodings(folder / TEXTS, same_text)

    def name(self) -> str:
        """The CLAP's own."""
        return self._name

    def encode_sounds(self, waves: Waves) -> Tensor:
        """What is stored of sounds, or would be: (B, H) or (B, E)."""
        return self._sounds.encode(waves, lambda w: encode_sounds(self.clap, w), self.device)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """What is stored of texts, or would be: (B, H) or (B, E)."""
        return self._texts.encode(texts, lambda t: encode_texts(self.clap, t), self.device)

    def embed_sounds(self, waves: Waves) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self.project_sounds(self.encode_sounds(waves))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self.project_texts(self.encode_texts(texts))

    def project_sounds(self, encoded: Tensor) -> Tensor:
        """What `encode_sounds` gave as unit embeddings: (B, E)."""
        return self.clap.project_sounds(encoded) if runs_in_parts(self.clap) else encoded

    def project_texts(self, encoded: Tensor) -> Tensor:
        """What `encode_texts` gave as unit embeddings: (B, E)."""
        return self.clap.project_texts(encoded) if runs_in_parts(self.clap) else encoded

    def match_sounds(self, encoded: Tensor) -> Tensor:
        """What `encode_sounds` gave as unit vectors to be compared with those of texts."""
        if isinstance(self.clap, TowersClap):
            return self.clap.match_sounds(encoded)
        return self.project_sounds(encoded)

    def match_texts(self, encoded: Tensor) -> Tensor:
        """What `encode_texts` gave as unit vectors to be compared with those of sounds."""
        if isinstance(self.clap, TowersClap):
            return self.clap.match_texts(encoded)
        return self.project_texts(encoded)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.clap.cut_texts(texts)


class StoredTowers:
    """The towers of a tunable CLAP, with what is stored of them."""

    def __init__(
        self, clap: TunableClap, device: torch.device, clips: ClipStore, root: Path
    ) -> None:
        self.clap = clap
        self.stored = StoredClap(clap, device, clips, root) if runs_in_parts(clap) else None

    def pool_sounds(self, waves: Waves) -> Tensor:
        """The audio tower: (B, H), or what else its projection takes."""
        if self.stored is None:
            return self.clap.pool_mels(self.clap.log_mel(waves))
        return self.stored.encode_sounds(waves)

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower: (B, H)."""
        return (
            self.clap.pool_texts(texts) if self.stored is None else self.stored.encode_texts(texts)
        )


def load_stored(
    source: ClapSource, device: torch.device, clips: ClipStore, root: Path
) -> StoredClap:
    """The CLAP of `source`, in eval mode, with what `root` holds of it."""
    return StoredClap(checkpoints.load_encoder(source, device), device, clips, root)
