"""A captioner that several members of a judge ask: a batch is read once for all of them.

B pairs, M audio tokens, D feature width, S parts of the evidence.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from soundjudge.model.likelihood.likelihood import Likelihood


class SharedCaptioner(Likelihood):
    """A `Likelihood` that keeps what it made of its last batch of pairs and of texts."""

    def __init__(self, likelihood: Likelihood) -> None:
        super().__init__(
            likelihood.lalm, likelihood.references, likelihood.config, likelihood.prior_floor
        )
        self._evidence: tuple[Tensor, list[str], Tensor] | None = None
        self._priors: tuple[list[str], Tensor] | None = None

    def evidence(
        self, features: Tensor, texts: Sequence[str], priors: Tensor | None = None
    ) -> Tensor:
        """As of `Likelihood`: (B, S)."""
        last = self._evidence
        if last is None or last[1] != list(texts) or not torch.equal(last[0], features):
            last = features, list(texts), super().evidence(features, texts, priors)
            self._evidence = last
        return last[2]

    def log_priors(self, texts: Sequence[str]) -> Tensor:
        """As of `Likelihood`: (B,)."""
        last = self._priors
        if last is None or last[0] != list(texts):
            last = list(texts), super().log_priors(texts)
            self._priors = last
        return last[1]

    def is_like(self, other: Likelihood) -> bool:
        """Whether the other gives the same evidence: by its settings, references and weights."""
        own, weights = self.lalm.state_dict(), other.lalm.state_dict()
        return (
            (self.config, self.prior_floor, self.frontend)
            == (other.config, other.prior_floor, other.frontend)
            and self.lalm.config == other.lalm.config
            and torch.equal(self.references, other.references)
            and own.keys() == weights.keys()
            and self.lalm.tokenizer.get_vocab() == other.lalm.tokenizer.get_vocab()
            and all(own[name].shape == weights[name].shape for name in own)
            and all(torch.equal(own[name], weights[name]) for name in own)
        )
