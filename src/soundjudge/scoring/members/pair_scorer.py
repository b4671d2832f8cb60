"""Scores of pairs by members: each distinct sound and text is encoded once, whatever the pairs.

A sound longer than the window is cut into consecutive windows, whose scores are averaged by length.

B pairs, W windows of all pairs, K members, T samples at 16 kHz.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.members.encodings import Member, Waves
from soundjudge.scoring.members.windows import PredictionConfig, split_windows

T = TypeVar("T")
Progress = Callable[[int, int], None]  # of a call: distinct texts and windows done, and all of them
# The default dtype of torch, which scoring sets, is one for all threads of a process.
_ONE_AT_A_TIME = threading.Lock()
# Per store: 4,000 features of 100 tokens in the width of BEATs are 1.2 GB, embeddings are small.
DEFAULT_BYTES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class WindowScores:
    """Raw scores of all windows of all pairs, pair by pair."""

    pairs: NDArray[np.int64]  # (W,) index of the pair
    cuts: tuple[slice, ...]  # W, samples
    scores: NDArray[np.float64]  # (W, K)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of each window: (W,)."""
        return np.array([_length(cut) for cut in self.cuts], dtype=np.int64)

    def of_pairs(self) -> NDArray[np.float64]:
        """The mean over a pair's windows, weighted by their lengths: (B, K)."""
        count = int(self.pairs[-1]) + 1 if len(self.pairs) else 0
        sums = np.zeros((count, self.scores.shape[1]))
        np.add.at(sums, self.pairs, self.scores * self.lengths[:, None])
        return sums / np.bincount(self.pairs, weights=self.lengths, minlength=count)[:, None]


class PairScorer:
    """Members, and what they encoded lately: up to `max_bytes` of sounds, and of texts.

    Matrix products are in bf16 on the members' device where that is `bf16`. Threads may share one.
    """

    def __init__(
        self, members: Sequence[Member], max_bytes: int = 0, bf16: torch.device | None = None
    ) -> None:
        self.members, self.bf16 = members, bf16
        self._sounds, self._texts = EncodingStore(max_bytes), EncodingStore(max_bytes)

    def window_scores(
        self,
        waves: Waves,
        texts: Sequence[str],
        prediction: PredictionConfig,
        progress: Progress = lambda done, total: None,
    ) -> WindowScores:
        """Each member's score of each window of each pair, near 0 to 10, not clipped."""
        with _ONE_AT_A_TIME:
            return self._window_scores(waves, texts, prediction, progress)

    def _window_scores(
        self,
        waves: Waves,
        texts: Sequence[str],
        prediction: PredictionConfig,
        progress: Progress,
    ) -> WindowScores:
        if len(waves) != len(texts):
            raise SoundjudgeError(f"{len(waves)} sounds have {len(texts)} texts: each needs one")
        waves, texts = list(waves), [clean_text(text) for text in texts]
        assert all(len(wave) for wave in waves), (
            "a sound without samples is refused when it is read"
        )
        size = prediction.window_samples
        rows = [(pair, cut) for pair, w in enumerate(waves) for cut in split_windows(len(w), size)]
        scores = np.empty((len(rows), len(self.members)))
        done, total = len(set(texts)), len(set(texts)) + len(rows)
        codes = self._text_codes(texts, prediction.batch_size, lambda n: progress(n, total))
        # The rows of each distinct window: an object that stands for several pairs is one sound.
        rows_of: dict[tuple[int, int], list[int]] = {}
        for row, (pair, cut) in enumerate(rows):
            rows_of.setdefault((id(waves[pair]), cut.start), []).append(row)
        # Sounds of one length side by side: less padding, and the order of the pairs cannot matter.
        groups = sorted(rows_of.values(), key=lambda group: _length(rows[group[0]][1]))
        for chunk in _batches(groups, prediction.batch_size):
            windows = [waves[rows[group[0]][0]][rows[group[0]][1]] for group in chunk]
            sounds = self._sound_codes(windows)
            listed = [
                (row, code) for group, code in zip(chunk, sounds, strict=True) for row in group
            ]
            listed.sort(key=lambda item: len(texts[rows[item[0]][0]]))  # texts of one length, too
            for batch in _batches(listed, prediction.batch_size):
                named = [texts[rows[row][0]] for row, _ in batch]
                parts = [code for _, code in batch], [codes[text] for text in named]
                scores[[row for row, _ in batch]] = self._scores(*parts, named)
                done += len(batch)
                progress(done, total)
        pairs = np.array([pair for pair, _ in rows], dtype=np.int64)
        return WindowScores(pairs=pairs, cuts=tuple(cut for _, cut in rows), scores=scores)

    def _sound_codes(self, windows: Waves) -> list[tuple[Any, ...]]:
        """What each member makes of each window."""
        keys = self._keys(windows)
        codes: dict[Any, Any] = {key: self._sounds.get(key) for key in keys}
        missing = {key: w for key, w in zip(keys, windows, strict=True) if codes[key] is None}
        if missing:
            batch = list(missing.values())  # one object: members may share its encoding
            with _arithmetic(self.bf16):
                encoded = zip(
                    *(member.encode_sounds(batch) for member in self.members), strict=True
                )
            for key, code in zip(missing, encoded, strict=True):
                codes[key] = code
                self._sounds.put(key, code)
        return [codes[key] for key in keys]

    def _keys(self, windows: Waves) -> list[Any]:
        """Equal for equal samples, where the store outlives the call."""
        if not self._sounds.max_bytes:
            return list(range(len(windows)))
        return [hashlib.sha256(np.ascontiguousarray(wave).data).digest() for wave in windows]

    def _text_codes(
        self, texts: Sequence[str], batch_size: int, progress: Callable[[int], None]
    ) -> dict[str, tuple[Any, ...]]:
        """What each member makes of each distinct text."""
        codes: dict[str, Any] = {text: self._texts.get(text) for text in texts}
        missing = sorted((text for text, code in codes.items() if code is None), key=len)
        done = len(codes) - len(missing)
        for batch in _batches(missing, batch_size):
            with _arithmetic(self.bf16):
                encoded = zip(*(member.encode_texts(batch) for member in self.members), strict=True)
            for text, code in zip(batch, encoded, strict=True):
                codes[text] = code
                self._texts.put(text, code)
            done += len(batch)
            progress(done)
        return codes

    def _scores(
        self, sounds: list[tuple[Any, ...]], texts: list[tuple[Any, ...]], named: Sequence[str]
    ) -> NDArray[np.float64]:
        """Of a batch: (B, K)."""
        with _arithmetic(self.bf16):
            columns = [
                member.scores(list(of_sounds), list(of_texts))
                for member, of_sounds, of_texts in zip(
                    self.members, zip(*sounds, strict=True), zip(*texts, strict=True), strict=True
                )
            ]
        scores = np.stack(columns, axis=1)
        if not np.isfinite(scores).all():
            text = named[int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])]
            raise SoundjudgeError(
                f"a member gives no finite score for {text!r}: its weights are bad"
            )
        return scores


@contextmanager
def _arithmetic(bf16: torch.device | None) -> Iterator[None]:
    # TF32 convolutions round to three digits, differently for every batch size.
    with (
        devices.plain_arithmetic(bf16),
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
    ):
        yield


def _length(cut: slice) -> int:
    return int(cut.stop - cut.start)


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


class EncodingStore:
    """Keys to encodings; those not used for longest give way."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.bytes = max_bytes, 0
        self._items: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def get(self, key: Hashable) -> Any | None:  # noqa: ANN401
        """The encoding of `key`, if it is there."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key][0]

    def put(self, key: Hashable, encoding: object) -> None:
        """Keeps an encoding, unless it is larger than the store."""
        size = num_bytes(encoding)
        if size > self.max_bytes or key in self._items:
            return
        self._items[key] = encoding, size
        self.bytes += size
        while self.bytes > self.max_bytes:
            _, (_, freed) = self._items.popitem(last=False)
            self.bytes -= freed


def num_bytes(encoding: Any) -> int:  # noqa: ANN401
    """About what an encoding takes: arrays and tensors as they are, texts by their characters."""
    if isinstance(encoding, tuple | list):
        return sum(num_bytes(part) for part in encoding)
    if isinstance(encoding, str):
        return len(encoding)
    return int(encoding.nbytes)
