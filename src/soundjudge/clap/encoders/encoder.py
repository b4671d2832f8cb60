"""What every CLAP can do here: put sounds and texts into one space.

B batch, T samples at 16 kHz, E embedding dimensions.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.errors import SoundjudgeError

T = TypeVar("T")
# E; of an encoder of sound or of text alone its E on that side, and 1 on the other, where it embeds
# all alike: (of sounds, of texts).
Dimensions = int | tuple[int, int]
# Weights that can be trained: audio_model, audio_projection, text_model, text_projection.
Parts = dict[str, list[nn.Parameter]]
PROBES = ("a dog barks", "rain falls on a roof")  # two texts that no CLAP embeds alike


class ClapEncoder(Protocol):
    """Sounds and texts as unit vectors; their dot product, -1 to 1, says how well they match."""

    sample_rate: int  # Hz, of the audio tower; sounds are passed at 16 kHz all the same
    window_seconds: float  # of a longer sound the first so many seconds are used

    @property
    def dimensions(self) -> Dimensions:
        """The width of the embeddings."""

    def name(self) -> str:
        """Checkpoint, protocol and pooling, so that two scores of one name can be compared.

        Such as "unfused-1a2b3c4d/48k-first10s-int16-repeatpad/projection@1": weights, configuration
        and tokenizer by the first digits of a sha256 (`naming`), what is done to a sound, which
        layer is read, version of this code. Rows are stored by it: it changes with all that moves
        an embedding.
        """

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:  # B x (T,) -> (B, E)
        """Unit embeddings of 16 kHz mono sounds; none depends on its batch-mates."""

    def embed_texts(self, texts: Sequence[str]) -> Tensor:  # (B, E)
        """Unit embeddings of texts; none depends on its batch-mates."""

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""


def unit_vectors(embedded: Tensor) -> Tensor:
    """Unit vectors (B, E) in float32: as they are, or from bf16, where lengths are rounded."""
    if embedded.dtype == torch.float32:
        return embedded
    return nn.functional.normalize(embedded.float(), dim=-1)


def clip_embedder(clap: ClapEncoder, clips: ClipStore) -> Callable[[Sequence[str]], Tensor]:
    """Embeds clips by their ids: (B, E)."""
    return lambda clip_ids: clap.embed_sounds([clips.wave(clip_id) for clip_id in clip_ids])


def encode_batches(
    encode: Callable[[Sequence[T]], Tensor], items: Iterable[T], batch_size: int
) -> Iterator[NDArray[np.float32]]:
    """Encodes the items without gradients, a batch at a time: (<=B, ...).

    Raises SoundjudgeError for an item that has a NaN or an infinity.
    """
    remaining = iter(items)
    while batch := list(islice(remaining, batch_size)):
        # TF32 convolutions round to three digits, differently for every batch size.
        with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            encoded = encode(batch).float().cpu().numpy()
        finite = np.isfinite(encoded).reshape(len(encoded), -1).all(axis=1)  # (B,)
        if not finite.all():
            item = batch[int(finite.argmin())]
            name = repr(item[:80]) if isinstance(item, str) else "a sound"
            raise SoundjudgeError(
                f"an encoder gives no finite vector for {name}: check that sound or text, and the "
                "encoder's files"
            )
        yield encoded


def encode_distinct(
    encode: Callable[[Sequence[str]], Tensor], items: Sequence[str], batch_size: int
) -> NDArray[np.float32]:
    """Encodes the items, equal ones once: (len(items), ...)."""
    distinct = sorted(set(items))
    rows = np.concatenate(list(encode_batches(encode, distinct, batch_size)))
    index = {item: row for row, item in enumerate(distinct)}
    return rows[[index[item] for item in items]]
