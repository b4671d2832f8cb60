"""The audio encoder's features of all clips, encoded once and stored.

Apart from `audio`, so that a change of the storage retrains no model.
Letters: B = clips at a time, C = clips of a chunk, M = audio tokens, D = encoder width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.jobs import chunks
from soundjudge.data.jobs.chunks import Chunk
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.audio_encoder import AudioEncoder, encode_waves
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.runtime import artifacts


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Section `features` of params.yaml."""

    frontend: AudioFrontend
    batch_size: int = 16  # clips at a time
    dtype: Literal["float16", "float32"] = "float32"  # of the stored features
    engine: chunks.Engine = "local"  # as in embed
    workers: int | None = None  # as in embed

    def __post_init__(self) -> None:
        check_range(self, "batch_size", least=1, most=LARGEST_BATCH)
        chunks.check_engine(self.engine, self.workers)

    def chunk_size(self, width: int) -> int:
        """Clips per chunk, for an encoder of width D."""
        return chunks.chunk_size(self.frontend.audio_tokens * width * np.dtype(self.dtype).itemsize)


def encode_clips(
    encoder: AudioEncoder, clips: ClipStore, clip_ids: Sequence[str], config: FeatureConfig
) -> Iterator[NDArray[Any]]:
    """The features of the clips in order, in blocks (<= B, M, D)."""
    for start in range(0, len(clip_ids), config.batch_size):
        batch = clip_ids[start : start + config.batch_size]
        waves = [clips.wave(clip_id) for clip_id in batch]
        # TF32 convolutions round to three digits; predict reads these features and a judge hears.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            features = encode_waves(encoder, waves, config.frontend)
        block = features.cpu().numpy().astype(config.dtype)
        for clip_id, row in zip(batch, block, strict=True):
            if not np.isfinite(row).all():
                raise SoundjudgeError(
                    f"{encoder.name()}: the features of clip {clip_id} are not finite numbers: "
                    "use dtype float32, or another checkpoint."
                )
        yield block


def write_feature_chunk(
    chunk: Chunk, encoder: AudioEncoder, clips: ClipStore, config: FeatureConfig
) -> None:
    """Writes the features of a chunk's clips atomically, as an array file (C, M, D)."""
    features = np.concatenate(list(encode_clips(encoder, clips, chunk.items, config)))
    with artifacts.atomic_file(chunk.path) as temporary:
        np.save(temporary, features)
