"""A judge as a metric of torchmetrics: the mean alignment over all batches and processes.

Needs `pip install 'soundjudge[metric]'`. B pairs, C channels, T samples.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.batch_inputs import sounds_of_batch
from soundjudge.scoring.judge.judge import Judge

try:
    from torchmetrics import Metric
except ImportError as error:
    raise SoundjudgeError(
        "soundjudge.metric stands on torchmetrics: pip install 'soundjudge[metric]'"
    ) from error


class AlignmentScore(Metric):  # type: ignore[misc]  # an optional package
    """The mean score of all pairs, 0 (no match) to 10 (exact match).

    metric = AlignmentScore("checkpoints/judge")
    metric.update(audio, text, sizes, sample_rates)
    metric.compute()
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(
        self,
        judge: Judge | str | Path,
        device: str = "auto",
        batch_size: int = 32,
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        """`judge`: one, or what `Judge.from_pretrained` takes; `kwargs` are torchmetrics' own."""
        super().__init__(**kwargs)
        self.judge = judge if isinstance(judge, Judge) else Judge.from_pretrained(judge, device)
        self.batch_size = batch_size
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    def update(
        self,
        audio: Tensor | Sequence[Tensor],
        text: Sequence[str],
        sizes: Tensor | Sequence[int] | None,
        sample_rates: Tensor | Sequence[float] | float,
    ) -> None:
        """Adds a batch: (B, T) or (B, C, T), or a list of (T,) or (C, T).

        `sizes`: samples of each sound that are no padding, None for all. `sample_rates` in Hz: one,
        or one per sound. Raises SoundjudgeError; then nothing of the batch is added.
        """
        sounds = sounds_of_batch(audio, sizes, sample_rates)
        scores = self.judge.score_pairs(sounds, list(text), self.batch_size)
        # Whatever dtype someone has set on the metric: half of one loses scores from 2,048 on.
        self.total = self.total.double() + sum(scores)
        self.count = self.count + len(scores)

    def compute(self) -> Tensor:
        """The mean over all pairs, a float32 scalar. Raises SoundjudgeError without any pair."""
        if not self.count:
            raise SoundjudgeError("no pair was scored yet: call update first")
        return (self.total / self.count).float()
