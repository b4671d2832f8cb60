"""Members whose sounds and texts are encoded first: any pairs of them are scored afterwards.

A sound with many texts, or a text with many sounds, is then encoded once.

B pairs, T samples at 16 kHz, M audio tokens, D feature width, E embedding dimensions.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders.encoder import unit_vectors

if TYPE_CHECKING:
    from soundjudge.clap.encoders.encoder import ClapEncoder
    from soundjudge.clap.regression.regressor import Regressor
    from soundjudge.fusion.fusion import Fusion
    from soundjudge.model.audio.audio_encoder import AudioEncoder
    from soundjudge.model.frontend.frontend import AudioFrontend
    from soundjudge.model.joint.joint_lalm import JointLalm
    from soundjudge.model.lalm.lalm import Lalm
    from soundjudge.model.likelihood.likelihood import Likelihood
    from soundjudge.scoring.members.shared_clap import SharedClap

Waves = Sequence[NDArray[np.float32]]
L = TypeVar("L", bound="Lalm | Likelihood | JointLalm")
M = TypeVar("M", bound="ClapEncoder | Regressor | Lalm | Likelihood | JointLalm | Fusion")


class Member(Protocol):
    """What the judge asks of a checkpoint.

    Encodings are the member's own affair; none depends on its batch-mates.
    """

    def encode_sounds(self, waves: Waves) -> list[Any]:
        """An encoding per sound (T,) within the window."""

    def encode_texts(self, texts: Sequence[str]) -> list[Any]:
        """An encoding per text."""

    def scores(self, sounds: Sequence[Any], texts: Sequence[Any]) -> NDArray[np.float64]:
        """Raw scores near 0 to 10, not clipped, of encoded sounds and texts: (B,)."""

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""


class SharedEncoder:
    """An audio encoder that several members use: a batch is encoded once for all of them."""

    def __init__(self, encoder: "AudioEncoder") -> None:
        self.encoder = encoder
        self._cache: tuple[Waves, AudioFrontend, Tensor] | None = None

    def features(self, waves: Waves, frontend: "AudioFrontend") -> Tensor:  # (B, M, D)
        """Features of a batch; those of the last batch are kept."""
        from soundjudge.model.audio.audio_encoder import encode_waves

        if self._cache is None or self._cache[0] is not waves or self._cache[1] != frontend:
            # In bf16 products come as bf16, and a training reads features of float32.
            encoded = encode_waves(self.encoder, waves, frontend).float()
            self._cache = (waves, frontend, encoded)
        return self._cache[2]


class ModelMember(Generic[M]):
    """A member that asks one model, which knows what of a text it reads."""

    def __init__(self, model: M) -> None:
        self.model = model

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what the model reads of it, or a part of the model."""
        return self.model.cut_texts(texts)


class CosineMember(ModelMember["ClapEncoder"]):
    """A CLAP, tuned or as it is: ten times the cosine of two embeddings."""

    def encode_sounds(self, waves: Waves) -> list[Tensor]:
        """Unit embeddings (E,)."""
        return list(unit_vectors(self.model.embed_sounds(waves)))

    def encode_texts(self, texts: Sequence[str]) -> list[Tensor]:
        """Unit embeddings (E,)."""
        return list(unit_vectors(self.model.embed_texts(texts)))

    def scores(self, sounds: Sequence[Tensor], texts: Sequence[Tensor]) -> NDArray[np.float64]:
        """10 cos, -10 to 10, in practice mostly 0 to 10: (B,)."""
        cosines = (torch.stack(list(sounds)) * torch.stack(list(texts))).sum(-1)
        scores: NDArray[np.float64] = 10 * cosines.double().cpu().numpy()
        return scores


class ZeroshotMember(CosineMember):
    """A CLAP as it is, with all by which it compares a sound and a text."""

    def __init__(self, clap: "SharedClap") -> None:
        super().__init__(clap)
        self.shared = clap

    def encode_sounds(self, waves: Waves) -> list[Tensor]:
        """Unit vectors (E,), or longer ones of a CLAP that compares more than embeddings."""
        return list(unit_vectors(self.shared.match_sounds(waves)))

    def encode_texts(self, texts: Sequence[str]) -> list[Tensor]:
        """Unit vectors as long as those of sounds."""
        return list(unit_vectors(self.shared.match_texts(texts)))


class RegressorMember(ModelMember["Regressor"]):
    """A kernel machine on the embeddings of frozen CLAPs, which stand side by side."""

    def encode_sounds(self, waves: Waves) -> list[NDArray[np.float32]]:
        """Embeddings of all CLAPs: (E,)."""
        return _side_by_side(clap.embed_sounds(waves) for clap in self.model.claps)

    def encode_texts(self, texts: Sequence[str]) -> list[NDArray[np.float32]]:
        """Embeddings of all CLAPs: (E,)."""
        return _side_by_side(clap.embed_texts(texts) for clap in self.model.claps)

    def scores(
        self, sounds: Sequence[NDArray[np.float32]], texts: Sequence[NDArray[np.float32]]
    ) -> NDArray[np.float64]:
        """0 to 10 or a little outside: (B,)."""
        return self.model.machine(np.stack(sounds), np.stack(texts))


def _side_by_side(embedded: Iterable[Tensor]) -> list[NDArray[np.float32]]:
    return list(np.concatenate([unit_vectors(e).cpu().numpy() for e in embedded], axis=1))


class ListeningMember(ModelMember[L]):
    """A language model that reads texts behind the features of a sound, with its encoder."""

    def __init__(self, model: L, encoder: SharedEncoder) -> None:
        super().__init__(model)
        self.encoder = encoder

    def encode_sounds(self, waves: Waves) -> list[Tensor]:
        """Features (M, D)."""
        return list(self.encoder.features(waves, self.model.frontend))


class LalmMember(ListeningMember["Lalm"]):
    """An audio language model, scored at [SCORE]."""

    def encode_texts(self, texts: Sequence[str]) -> list[str]:
        """The texts: the model reads them behind a sound."""
        return list(texts)

    def scores(self, sounds: Sequence[Tensor], texts: Sequence[str]) -> NDArray[np.float64]:
        """The model's -1..1 brought to 0..10: (B,)."""
        return on_rating_scale(self.model.scores(torch.stack(list(sounds)), texts))


class LikelihoodMember(ListeningMember["Likelihood | JointLalm"]):
    """A captioning language model, scored by the likelihood of a text.

    Or a language model whose score it joins.
    """

    def encode_texts(self, texts: Sequence[str]) -> list[tuple[str, Tensor]]:
        """Each text, and its log-probability given the reference sounds."""
        return list(zip(texts, self.model.log_priors(texts), strict=True))

    def scores(
        self, sounds: Sequence[Tensor], texts: Sequence[tuple[str, Tensor]]
    ) -> NDArray[np.float64]:
        """The model's about -1..1 brought to 0..10: (B,)."""
        priors = torch.stack([prior for _, prior in texts])
        words = [text for text, _ in texts]
        return on_rating_scale(self.model.scores(torch.stack(list(sounds)), words, priors))


class FusionMember(ModelMember["Fusion"]):
    """A regression on CLAPs and a captioner at once, with the captioner's encoder."""

    def __init__(self, fusion: "Fusion", encoder: SharedEncoder) -> None:
        super().__init__(fusion)
        self.encoder = encoder

    def encode_sounds(self, waves: Waves) -> list[tuple[NDArray[np.float32], Tensor]]:
        """Embeddings of all CLAPs (E,), and the captioner's features (M, D)."""
        features = self.encoder.features(waves, self.model.captioner.frontend)
        return list(zip(self.model.embed_sounds(waves), features, strict=True))

    def encode_texts(self, texts: Sequence[str]) -> list[tuple[NDArray[np.float32], str, Tensor]]:
        """Embeddings of all CLAPs (E,), the text, its log-probability given the references."""
        embeddings, priors = self.model.embed_texts(texts), self.model.captioner.log_priors(texts)
        return list(zip(embeddings, texts, priors, strict=True))

    def scores(
        self,
        sounds: Sequence[tuple[NDArray[np.float32], Tensor]],
        texts: Sequence[tuple[NDArray[np.float32], str, Tensor]],
    ) -> NDArray[np.float64]:
        """0 to 10 or a little outside: (B,)."""
        audio, features = zip(*sounds, strict=True)
        embedded, words, priors = zip(*texts, strict=True)
        return self.model.scores(
            np.stack(audio), np.stack(embedded), torch.stack(features), words, torch.stack(priors)
        )


def on_rating_scale(predictions: Tensor) -> NDArray[np.float64]:
    """A language model's -1..1 as 0..10."""
    scores: NDArray[np.float64] = (predictions.cpu().double().numpy() + 1) * 5
    return scores
