"""A CLAP of two frozen towers that never met, joined by two linear projections.

The audio tower is aisfx, the text tower all-MiniLM-L6-v2. Beside the projections they can be joined
by named categories of sound, which need no captioned example. A folder holds towers.json and
model.safetensors. As it lies in git it holds the projections and names the packages that carry
the towers; inside a checkpoint or a judge it holds the towers, too, and needs no package.

B batch, T samples at 16 kHz, N blocks of L frames of M mel bands, H width of a tower, E embedding
dimensions, C categories.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.clap.encoders import naming, tower_checks
from soundjudge.clap.encoders.aisfx import AISFX_SAMPLE_RATE, AisfxNetwork, BlockedLogMel
from soundjudge.clap.encoders.encoder import Parts
from soundjudge.clap.encoders.packaged_weights import AISFX, MINILM
from soundjudge.clap.encoders.sentence_transformer import SentenceEncoder
from soundjudge.clap.encoders.sound_categories import (
    SoundCategories,
    blank_categories,
    join_vectors,
)
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

CATEGORIES = "categories"  # key of CONFIG and of weights, where there are any
CONFIG, WEIGHTS, TEXT_FOLDER = "towers.json", "model.safetensors", "text"
KIND = "towers"
WINDOW_SECONDS = 10.0
PARTS = ("audio_model", "audio_projection", "text_model", "text_projection")
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


class TowersClap(nn.Module):
    """Both towers and their projections behind the interface of `ClapEncoder`.

    Front end, tower and projection can be run one by one, as those of `TransformersClap`.
    """

    def __init__(
        self,
        audio_model: AisfxNetwork,
        audio_projection: nn.Linear,
        text_model: SentenceEncoder,
        text_projection: nn.Linear,
        attributions: Sequence[str] = (),
        categories: SoundCategories | None = None,
    ) -> None:
        """`attributions`: a line per tower whose license asks for one, kept by every copy."""
        super().__init__()
        self.attributions = tuple(attributions)
        self.categories = categories
        self.audio_model, self.audio_projection = audio_model, audio_projection
        self.text_model, self.text_projection = text_model, text_projection
        self.log_mel = BlockedLogMel(WINDOW_SECONDS)  # waves B x (T,) -> (B, N, L, M)
        self.sample_rate = AISFX_SAMPLE_RATE
        self.window_seconds = WINDOW_SECONDS
        self.dimensions = audio_projection.out_features
        self.eval()

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The CLAP of a folder that `save` or `save_projections` wrote, strictly, in eval mode.

        Raises SoundjudgeError for a package that is missing or another, and for weights that do
        not fit or are not finite.
        """
        config = artifacts.read_json_object(folder / CONFIG)
        try:
            if config["kind"] != KIND:
                raise SoundjudgeError(f"{folder / CONFIG}: kind is {config['kind']!r}, not {KIND}.")
            tower_checks.check_widths(folder / CONFIG, [config["dimensions"]])
            audio_model, text_model, attributions = _load_towers(folder, config)
            clap = cls(
                audio_model,
                nn.Linear(audio_model.width, config["dimensions"]),
                text_model,
                nn.Linear(text_model.width, config["dimensions"]),
                attributions,
                blank_categories(config.get(CATEGORIES), audio_model.classes, text_model.width),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SoundjudgeError(
                f"{folder / CONFIG} is not as soundjudge writes it: {error!r}."
            ) from error
        stored = artifacts.load_tensors(folder / WEIGHTS)
        expected = clap._stored_weights(with_audio_model=config["audio"].get("package") is None)
        tower_checks.check_weights(folder / WEIGHTS, stored, expected)
        with torch.no_grad():
            for name, weights in expected.items():
                weights.copy_(stored[name])
        return clap.to(device)

    def save(self, folder: Path) -> None:
        """Writes all weights, so that no package is needed; equal weights give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.text_model.save(folder / TEXT_FOLDER)
        audio: dict[str, Any] = {"channels": list(self.audio_model.channels)}
        if self.audio_model.classes:
            audio["classes"] = list(self.audio_model.classes)
        self._write(
            folder,
            audio,
            {"folder": TEXT_FOLDER},
            {tower_checks.ATTRIBUTIONS: list(self.attributions)},
        )

    def save_projections(self, folder: Path) -> None:
        """Writes the projections alone; the towers must be those of the packages, as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        self._write(folder, AISFX.record(), MINILM.record(), {})

    def _write(
        self,
        folder: Path,
        audio: Mapping[str, Any],
        text: Mapping[str, Any],
        further: Mapping[str, Any],
    ) -> None:
        config = {"kind": KIND, "dimensions": self.dimensions, "audio": audio, "text": text}
        if self.categories is not None:
            phrases = self.categories.phrases.shape[1]
            config[CATEGORIES] = {"names": list(self.categories.names), "phrases": phrases}
        weights = self._stored_weights(with_audio_model="package" not in audio)
        artifacts.save_tensors(folder / WEIGHTS, weights)
        artifacts.write_json(folder / CONFIG, config | dict(further))

    def _stored_weights(self, with_audio_model: bool) -> dict[str, Tensor]:
        """What WEIGHTS holds, live; the text tower has a folder of its own."""
        names = ("audio_projection.", "text_projection.", f"{CATEGORIES}.")
        prefixes = (*names, "audio_model.") if with_audio_model else names
        return {name: w for name, w in self.state_dict().items() if name.startswith(prefixes)}

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        digits = naming.short_digest(self.text_model.settings(), self.state_dict())
        protocol = f"{AISFX_SAMPLE_RATE / 1000:g}k-first{WINDOW_SECONDS:g}s-peak"
        return f"{KIND}-{digits}/{protocol}/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.audio_projection.weight.device

    def parts(self) -> Parts:
        """The weights that can be trained."""
        return {name: list(getattr(self, name).parameters()) for name in PARTS}

    def pool_mels(self, mels: Tensor) -> Tensor:
        """The audio tower: (B, N, L, M) -> (B, H)."""
        pooled: Tensor = self.audio_model(mels)
        return pooled

    def project_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.audio_projection(pooled), dim=-1)

    def match_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, H) as unit vectors that are compared: (B, E), or (B, E + C)."""
        projected = self.project_sounds(pooled)
        if self.categories is None:
            return projected
        return join_vectors(projected, self.categories.of_sounds(self.audio_model.classify(pooled)))

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower: (B, H); of a long text the first 256 tokens."""
        pooled: Tensor = self.text_model(texts)
        return pooled

    def project_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.text_projection(pooled), dim=-1)

    def match_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit vectors that are compared: (B, E), or (B, E + C)."""
        projected = self.project_texts(pooled)
        if self.categories is None:
            return projected
        return join_vectors(projected, self.categories.of_texts(pooled))

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.text_model.cut_texts(texts)

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self.project_sounds(self.encode_sounds(waves))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self.project_texts(self.encode_texts(texts))

    def encode_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Audio tower outputs of 16 kHz mono sounds: (B, H)."""
        return self.pool_mels(self.log_mel(waves))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Text tower outputs: (B, H)."""
        return self.pool_texts(texts)


def load_packaged_towers() -> tuple[AisfxNetwork, SentenceEncoder]:
    """Both towers out of the installed packages; SoundjudgeError with the command without them."""
    audio_folder, text_folder = AISFX.find(), MINILM.find()
    network = AisfxNetwork.from_checkpoint(audio_folder / "checkpoint.pth")
    return network, SentenceEncoder.load(text_folder)


def _load_towers(
    folder: Path, config: Mapping[str, Any]
) -> tuple[AisfxNetwork, SentenceEncoder, list[str]]:
    if config["audio"].get("package") is None:
        network = AisfxNetwork(*tower_checks.audio_widths(folder / CONFIG, config["audio"]))
        return (
            network,
            SentenceEncoder.load(folder / TEXT_FOLDER),
            tower_checks.read_attributions(folder / CONFIG),
        )
    for part, packaged in (("audio", AISFX), ("text", MINILM)):
        tower_checks.check_record(folder / CONFIG, config[part], packaged)
    return *load_packaged_towers(), [AISFX.attribution, MINILM.attribution]
