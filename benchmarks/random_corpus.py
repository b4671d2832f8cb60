"""A corpus for `pretrain` with random numbers: features of many clips, wav files of a few.

Letters: B = clips, M = audio tokens, D = encoder width.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray
from operations import PAIRS, Sizes
from random_lalm import FIRST_WORD, text
from torch import Tensor

from soundjudge.data.arrays import array_store
from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.model.audio.audio_encoder import encode_waves
from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.lalm import prompt
from soundjudge.training.lalm.training_pairs import make_pairs

CAPTIONS = 4  # of a clip
WORDS = (3, 23)  # tokens of a caption, each length as likely: 13 on average
BLOCK = 200  # rows generated at once


class Corpus:
    """Captioned clips in a folder: features of all, wav files of the first 16."""

    def __init__(self, folder: Path, sizes: Sizes, beats: Beats, clips: int) -> None:
        self.folder, self.sizes, self.beats = folder, sizes, beats
        rng = np.random.default_rng(0)
        names = [f"clip{number:06d}" for number in range(clips)]
        for name in names[:PAIRS]:
            noise = 0.1 * rng.standard_normal(sizes.frontend.samples)
            soundfile.write(folder / f"{name}.wav", noise, SAMPLE_RATE)
        array_store.write_rows(folder / "features", names, self._blocks(names, rng))
        lengths = rng.integers(*WORDS, endpoint=True, size=CAPTIONS * clips)
        last = sizes.llm.vocab_size - len(prompt.NEW_TOKENS)
        texts = [text(rng.integers(FIRST_WORD, last, size=n).tolist()) for n in lengths]
        targets = rng.uniform(-1, 1, len(texts))
        self.pairs = make_pairs(pd.Series(names).repeat(CAPTIONS), pd.Series(texts), targets)
        self.features = array_store.ArrayStore(folder / "features")

    def drop_page_cache(self) -> None:
        """Drops the features from the page cache."""
        del self.features  # mapped pages would stay
        for path in sorted((self.folder / "features/shards").iterdir()):
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        self.features = array_store.ArrayStore(self.folder / "features")

    def encode(self, clip_ids: Sequence[str]) -> Tensor:
        """The features of clips from their wav files: (B, M, D)."""
        waves = [audio.read_audio(self.folder / f"{name}.wav") for name in clip_ids]
        return encode_waves(self.beats, waves, self.sizes.frontend)

    def _blocks(self, names: list[str], rng: np.random.Generator) -> Iterator[NDArray[Any]]:
        encoded = self.encode(names[:PAIRS]).cpu().numpy().astype(np.float16)
        yield encoded
        for start in range(PAIRS, len(names), BLOCK):
            shape = (min(BLOCK, len(names) - start), *encoded.shape[1:])
            yield rng.standard_normal(shape, np.float32).astype(np.float16)


class FeaturesInMemory:
    """The features of a few clips in memory, with the interface of an ArrayStore."""

    def __init__(self, features: array_store.ArrayStore, clip_ids: Sequence[str]) -> None:
        self.clip_ids = list(clip_ids)
        self.features = features.gather(clip_ids).astype(np.float32)

    def gather(self, clip_ids: Sequence[str]) -> NDArray[Any]:
        """The features of these very clips: (B, M, D)."""
        assert list(clip_ids) == self.clip_ids
        return self.features
