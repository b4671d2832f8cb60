"""A judge as a reward: tensors in, rewards out, without gradients and without the disk.

B pairs, C channels, T samples.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from soundjudge.scoring.judge.batch_inputs import sounds_of_batch
from soundjudge.scoring.judge.judge import Judge


class Reward:
    """How well generated sounds match their texts, for reinforcement learning.

    reward = Reward("checkpoints/judge")
    rewards = reward(audio, texts, sample_rate=44_100)  # (B,)
    """

    def __init__(
        self, judge: Judge | str | Path, device: str = "auto", batch_size: int = 32
    ) -> None:
        """`judge`: one, or what `Judge.from_pretrained` takes."""
        self.judge = judge if isinstance(judge, Judge) else Judge.from_pretrained(judge, device)
        self.batch_size = batch_size

    def __call__(
        self,
        audio: Tensor | Sequence[Tensor],
        texts: Sequence[str],
        sample_rate: Tensor | Sequence[float] | float,
        sizes: Tensor | Sequence[int] | None = None,
    ) -> Tensor:
        """Rewards from 0 (no match) to 10 (exact match): (B,), float32, on the device of `audio`.

        `audio` is (B, T) or (B, C, T), or a list of (T,) or (C, T); `sample_rate` in Hz is one, or
        one per sound; `sizes` are samples of each sound that are no padding. Raises
        SoundjudgeError: a sound that cannot be scored never gets a number.
        """
        sounds = sounds_of_batch(audio, sizes, sample_rate)
        scores = self.judge.score_pairs(sounds, list(texts), self.batch_size)
        device = sounds[0][0].device if sounds else None
        return torch.tensor(scores, dtype=torch.float32, device=device)
