"""How likely a text is given a sound, against how likely it is given other sounds.

A language model that captions sounds judges pairs without a rating: pointwise mutual information,

    (log P(text | sound) - alpha log mean over r P(text | reference r)) / tokens ^ length_exponent

as in VisualGPTScore (Lin et al. 2023, "Revisiting the Role of Language Priors in Vision-Language
Models", section 4: alpha debiases, chosen on validation); the length as in beam search. A text in
words that no caption had is brought to the least likely caption of training: see `evidence`.
Letters: B = pairs, R = reference sounds, M = audio tokens, D = encoder width.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from soundjudge import params
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.text_log_probs import text_log_probs
from soundjudge.ranges import LARGEST_BATCH, check_range
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import MEMBER_FILE, read_member, write_member

KIND = "likelihood"
REFERENCES = "references.safetensors"
PRIOR_FLOOR = "prior_floor"  # of the same file, as the references
NUM_CAPTIONS = 512  # captions that the floor is taken of, drawn by the seed
BATCH_TEXTS = 16  # behind one reference: attention grows with the square of their tokens
NATS = 4.0  # brought to 1: the sample's scores then lie within about -1 to 1


@dataclass(frozen=True, kw_only=True)
class LikelihoodConfig:
    """Section `likelihood` of params.yaml."""

    num_references: int = 8
    "R, sounds that every sound is compared with"
    alpha: float = 0.5
    "share of the text's own log-probability that is subtracted"
    length_exponent: float = 0.5
    "of the number of tokens that divides; 1 = mean over the tokens, 0 = their sum"
    seed: int = 1
    "of the references"

    def __post_init__(self) -> None:
        check_range(self, "num_references", least=1, most=LARGEST_BATCH)
        check_range(self, "alpha", "length_exponent", least=0, most=1)


class Likelihood:
    """A captioning language model, and the sounds that it compares every sound with."""

    def __init__(
        self,
        lalm: Lalm,
        references: Tensor,
        config: LikelihoodConfig,
        prior_floor: float = -math.inf,
    ) -> None:
        """`references` are encoder features: (R, M, D); the floor is that of `lowest_prior`."""
        self.lalm, self.references, self.config = lalm, references, config
        self.prior_floor = prior_floor

    @property
    def frontend(self) -> AudioFrontend:
        """What features of sounds must come from."""
        return self.lalm.frontend

    def scores(
        self, features: Tensor, texts: Sequence[str], priors: Tensor | None = None
    ) -> Tensor:
        """Mutual information of sounds (B, M, D) and texts, in units of NATS, not clipped: (B,).

        `priors` are `log_priors(texts)`, where they are known. About -1 to 1, in float32.
        SoundjudgeError where a text is empty.
        """
        own, prior, _ = self.evidence(features, texts, priors).unbind(dim=1)
        return (own - self.config.alpha * prior) / NATS

    def evidence(
        self, features: Tensor, texts: Sequence[str], priors: Tensor | None = None
    ) -> Tensor:
        """What scores are made of, (B, 3).

        The text's log-probability given the sound and given the references, each over tokens ^
        length_exponent, and its tokens. Where the second is below the floor, both are scaled by one
        factor that brings it there: how foreign a text's words are is no sign of a mismatch.
        """
        log_probs, lengths = text_log_probs(self.lalm, features, texts)  # (B,) both
        for text, length in zip(texts, lengths.tolist(), strict=True):
            if length < 2:  # its end is a token
                raise SoundjudgeError(f"the text {text!r} has no words: it has no likelihood")
        divisors = lengths**self.config.length_exponent
        if priors is None:
            priors = self.log_priors(texts)
        own, prior = log_probs / divisors, priors / divisors  # (B,) both, below 0
        scale = (self.prior_floor / prior).clamp(max=1.0)
        return torch.stack([own * scale, prior * scale, lengths.to(own.dtype)], dim=1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.lalm.cut_texts(texts)

    def lowest_prior(self, captions: Sequence[str]) -> float:
        """The least of what `evidence` has second, of at most NUM_CAPTIONS of the captions."""
        distinct = sorted(set(map(clean_text, captions)))
        order = np.random.default_rng(self.config.seed).permutation(len(distinct))
        texts = [distinct[i] for i in order[:NUM_CAPTIONS]]
        lengths = torch.tensor([len(tokens) + 1 for tokens in self.lalm.tokenize(texts)])  # an end
        priors = self.log_priors(texts).cpu() / lengths**self.config.length_exponent
        return float(priors.min())

    def log_priors(self, texts: Sequence[str]) -> Tensor:
        """Logarithm of each text's mean probability given the references: (B,)."""
        distinct = list(dict.fromkeys(texts))
        priors: dict[str, Tensor] = {}
        for start in range(0, len(distinct), BATCH_TEXTS):
            batch = distinct[start : start + BATCH_TEXTS]
            repeated = batch * len(self.references)
            log_probs, _ = text_log_probs(self.lalm, self.references, repeated)
            sums = log_probs.reshape(len(self.references), len(batch)).logsumexp(dim=0)
            priors |= dict(zip(batch, sums - math.log(len(self.references)), strict=True))
        return torch.stack([priors[text] for text in texts])


@torch.no_grad()
def pair_evidence(
    captioner: Likelihood,
    features: ArrayStore,
    clip_ids: Sequence[str],
    texts: Sequence[str],
    batch_size: int,
) -> Tensor:
    """`Likelihood.evidence` of pairs of stored features and texts, on the CPU: (B, 3)."""
    priors, parts = captioner.log_priors(texts), []
    for start in range(0, len(texts), batch_size):
        rows = slice(start, start + batch_size)
        sounds = torch.from_numpy(features.gather(clip_ids[rows])).float()
        parts.append(captioner.evidence(sounds, texts[rows], priors[rows]).cpu())
    return torch.cat(parts)


def save_likelihood(
    folder: Path, captioner: Path, clip_ids: Sequence[str], likelihood: Likelihood
) -> None:
    """Writes a captioner's checkpoint with the references, which are of `clip_ids`, beside it."""
    record = read_member(captioner, checkpoint.KIND)
    settings = {KIND: asdict(likelihood.config), "references": list(clip_ids)}
    with artifacts.atomic_folder(folder) as temporary:
        for path in sorted(captioner.iterdir()):
            artifacts.link_or_copy(path, temporary / path.name)
        # A new file: by a link it may be the captioner's own.
        (temporary / MEMBER_FILE).unlink()
        write_member(temporary, replace(record, kind=KIND, settings=record.settings | settings))
        tensors = {
            "references": likelihood.references.float().cpu(),  # (R, M, D)
            PRIOR_FLOOR: torch.tensor(likelihood.prior_floor, dtype=torch.float64),
        }
        artifacts.save_tensors(temporary / REFERENCES, tensors)


def load_likelihood(folder: Path, device: torch.device) -> Likelihood:
    """What `save_likelihood` wrote, in evaluation mode."""
    settings = read_member(folder, KIND).settings
    config = params.build(LikelihoodConfig, settings.get(KIND), f"{folder / MEMBER_FILE}: {KIND}")
    lalm = checkpoint.load_lalm(folder, KIND).to(device)
    path = folder / REFERENCES
    if not path.is_file():
        raise SoundjudgeError(f"{folder}: no {REFERENCES}: run the stage likelihood again")
    tensors = artifacts.load_tensors(path)
    references, floor = tensors.get("references"), tensors.get(PRIOR_FLOOR)
    expected = (config.num_references, lalm.frontend.audio_tokens, lalm.feature_dim)
    if references is None or tuple(references.shape) != expected:
        raise SoundjudgeError(f"{path}: no references of shape {expected} (R, M, D)")
    if floor is None or floor.numel() != 1 or not floor < 0:
        raise SoundjudgeError(f"{path}: no {PRIOR_FLOOR} below 0: run the stage likelihood again")
    return Likelihood(lalm, references.to(device), config, float(floor))
